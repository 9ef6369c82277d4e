/// OK-VQA's stemming: its answers were stemmed before they were published, so predictions are stemmed likewise.
#pragma once
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/eval/metrics/tagger.hpp>
#include <flamingo/eval/metrics/wordnet.hpp>
#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

namespace detail {

// The words that the published answers have otherwise than by rule: OpenFlamingo's list, sorted.
constexpr std::pair<std::string_view, std::string_view> ok_vqa_words[] = {{"adhesives", "adhesive"},
                                                                          {"alertness", "alert"},
                                                                          {"alpes", "alp"},
                                                                          {"apartments", "apart"},
                                                                          {"are", "are"},
                                                                          {"awning", "awn"},
                                                                          {"backpackers", "backpack"},
                                                                          {"badness", "bad"},
                                                                          {"baldness", "bald"},
                                                                          {"bases", "base"},
                                                                          {"batter's", "batter"},
                                                                          {"belongings", "belong"},
                                                                          {"blindness", "blind"},
                                                                          {"boy's", "boy"},
                                                                          {"braves", "brave"},
                                                                          {"brightness", "bright"},
                                                                          {"browsing", "brows"},
                                                                          {"buildings", "build"},
                                                                          {"casings", "case"},
                                                                          {"caves", "cave"},
                                                                          {"charioteering", "chariot"},
                                                                          {"childrens", "children"},
                                                                          {"christmas", "christmas"},
                                                                          {"circuses", "circus"},
                                                                          {"clothes", "cloth"},
                                                                          {"clothing", "cloth"},
                                                                          {"coding", "code"},
                                                                          {"conducter", "conduct"},
                                                                          {"conferences", "confer"},
                                                                          {"coniferous", "conifer"},
                                                                          {"containers", "contain"},
                                                                          {"controllers", "control"},
                                                                          {"corgie", "corgi"},
                                                                          {"couponing", "coupon"},
                                                                          {"creame", "cream"},
                                                                          {"crepte", "crept"},
                                                                          {"cumulis", "cumuli"},
                                                                          {"curiousity", "curious"},
                                                                          {"dangerous", "danger"},
                                                                          {"daughter's", "daughter"},
                                                                          {"decorations", "decor"},
                                                                          {"designers", "design"},
                                                                          {"dining", "dine"},
                                                                          {"directions", "direct"},
                                                                          {"domino's", "domino"},
                                                                          {"doves", "dove"},
                                                                          {"drives", "drive"},
                                                                          {"drunkenness", "drunken"},
                                                                          {"earing", "ear"},
                                                                          {"earnings", "earn"},
                                                                          {"eatting", "eat"},
                                                                          {"electicity", "elect"},
                                                                          {"electronics", "electron"},
                                                                          {"elevators", "elev"},
                                                                          {"emirates", "emir"},
                                                                          {"expressions", "express"},
                                                                          {"farmer's", "farmer"},
                                                                          {"firefighters", "firefight"},
                                                                          {"firefighting", "firefight"},
                                                                          {"glaced", "glace"},
                                                                          {"gloves", "glove"},
                                                                          {"gondoliere", "gondolier"},
                                                                          {"graves", "grave"},
                                                                          {"haircutting", "haircut"},
                                                                          {"hamburgers", "hamburg"},
                                                                          {"hawke", "hawk"},
                                                                          {"hearding", "heard"},
                                                                          {"hell's", "hell"},
                                                                          {"hornes", "horn"},
                                                                          {"illness", "ill"},
                                                                          {"jeans", "jean"},
                                                                          {"kid's", "kid"},
                                                                          {"kindergartener", "kindergarten"},
                                                                          {"kiting", "kite"},
                                                                          {"las", "las"},
                                                                          {"leaves", "leaf"},
                                                                          {"lenses", "lens"},
                                                                          {"lowes", "low"},
                                                                          {"markings", "mark"},
                                                                          {"married", "married"},
                                                                          {"mating", "mate"},
                                                                          {"meetings", "meet"},
                                                                          {"men's", "men"},
                                                                          {"microwaves", "microwave"},
                                                                          {"minerals", "miner"},
                                                                          {"mopeds", "mope"},
                                                                          {"morning", "morn"},
                                                                          {"mountainous", "mountain"},
                                                                          {"mustange", "mustang"},
                                                                          {"nationals", "nation"},
                                                                          {"overseas", "oversea"},
                                                                          {"oxygenize", "oxygen"},
                                                                          {"paintings", "paint"},
                                                                          {"paned", "pane"},
                                                                          {"paring", "pare"},
                                                                          {"pease", "peas"},
                                                                          {"personals", "person"},
                                                                          {"pies", "pie"},
                                                                          {"piping", "pipe"},
                                                                          {"plating", "plate"},
                                                                          {"playfulness", "play"},
                                                                          {"polarizing", "polar"},
                                                                          {"police", "police"},
                                                                          {"pooping", "poop"},
                                                                          {"porche", "porch"},
                                                                          {"potatoe", "potato"},
                                                                          {"professionals", "profession"},
                                                                          {"projections", "project"},
                                                                          {"propellers", "propel"},
                                                                          {"protesters", "protest"},
                                                                          {"pudding", "pud"},
                                                                          {"purring", "pure"},
                                                                          {"quantas", "quanta"},
                                                                          {"rabbies", "rabbi"},
                                                                          {"raines", "rain"},
                                                                          {"reflections", "reflect"},
                                                                          {"regent's", "regent"},
                                                                          {"reminders", "remind"},
                                                                          {"reporters", "report"},
                                                                          {"revelations", "revel"},
                                                                          {"riding", "ride"},
                                                                          {"ringe", "ring"},
                                                                          {"ripeness", "ripe"},
                                                                          {"rodeoing", "rodeo"},
                                                                          {"routes", "rout"},
                                                                          {"sadness", "sad"},
                                                                          {"sautee", "saute"},
                                                                          {"scrapbooking", "scrapbook"},
                                                                          {"settings", "set"},
                                                                          {"shelves", "shelve"},
                                                                          {"sickness", "sick"},
                                                                          {"skateboarders", "skateboard"},
                                                                          {"smugness", "smug"},
                                                                          {"socializing", "social"},
                                                                          {"sometimes", "sometime"},
                                                                          {"staring", "stare"},
                                                                          {"stockings", "stock"},
                                                                          {"striping", "stripe"},
                                                                          {"sunbathing", "sunbath"},
                                                                          {"sunblocker", "sunblock"},
                                                                          {"suspenders", "suspend"},
                                                                          {"swining", "swine"},
                                                                          {"teasing", "teas"},
                                                                          {"teething", "teeth"},
                                                                          {"tenning", "ten"},
                                                                          {"tennis", "tennis"},
                                                                          {"texting", "text"},
                                                                          {"ties", "tie"},
                                                                          {"toileting", "toilet"},
                                                                          {"tomatoe", "tomato"},
                                                                          {"toppings", "top"},
                                                                          {"transitions", "transit"},
                                                                          {"travelers", "travel"},
                                                                          {"travellers", "travel"},
                                                                          {"urinating", "urine"},
                                                                          {"vacationing", "vacate"},
                                                                          {"vandalizers", "vandal"},
                                                                          {"vastness", "vast"},
                                                                          {"vegas", "vegas"},
                                                                          {"veteran's", "veteran"},
                                                                          {"wading", "wade"},
                                                                          {"walle", "wall"},
                                                                          {"waves", "wave"},
                                                                          {"weddings", "wed"},
                                                                          {"wetness", "wet"},
                                                                          {"wilderness", "wilder"},
                                                                          {"womens", "women"},
                                                                          {"yes", "yes"}};

/// A word's end and what replaces it, tried in this order; `before`: the letter before the end must be one of these, or
/// with '^' first none of these. `whole`: the end must be the whole word.
struct SingularRule {
  std::string_view end, singular;
  std::string_view before = {};
  bool whole = false;
};
// What the package `inflection` does (rules of Ruby on Rails), which the originals call.
constexpr SingularRule singular_rules[] = {{"zombies", "zombie"},
                                           {"kine", "cow"},
                                           {"moves", "move"},
                                           {"sexes", "sex"},
                                           {"children", "child"},
                                           {"humans", "human"},
                                           {"men", "man"},
                                           {"people", "person"},
                                           {"databases", "database"},
                                           {"quizzes", "quiz"},
                                           {"matrices", "matrix"},
                                           {"vertices", "vertex"},
                                           {"indices", "index"},
                                           {"passersby", "passerby"},
                                           {"oxen", "ox", "", true},
                                           {"alias", "alias"},
                                           {"aliases", "alias"},
                                           {"status", "status"},
                                           {"statuses", "status"},
                                           {"octopus", "octopus"},
                                           {"octopi", "octopus"},
                                           {"virus", "virus"},
                                           {"viri", "virus"},
                                           {"axis", "axis", "", true},
                                           {"axes", "axis", "", true},
                                           {"crisis", "crisis"},
                                           {"crises", "crisis"},
                                           {"testis", "testis"},
                                           {"testes", "testis"},
                                           {"shoes", "shoe"},
                                           {"oes", "o"},
                                           {"bus", "bus"},
                                           {"buses", "bus"},
                                           {"mice", "mouse"},
                                           {"lice", "louse"},
                                           {"xes", "x"},
                                           {"ches", "ch"},
                                           {"sses", "ss"},
                                           {"shes", "sh"},
                                           {"movies", "movie"},
                                           {"series", "series"},
                                           {"quies", "quy"},
                                           {"ies", "y", "^aeiouy"},
                                           {"lves", "lf"},
                                           {"rves", "rf"},
                                           {"tives", "tive"},
                                           {"hives", "hive"},
                                           {"ves", "fe", "^f"},
                                           {"thesis", "thesis"},
                                           {"theses", "thesis"},
                                           {"synopsis", "synopsis"},
                                           {"synopses", "synopsis"},
                                           {"prognosis", "prognosis"},
                                           {"prognoses", "prognosis"},
                                           {"parenthesis", "parenthesis"},
                                           {"parentheses", "parenthesis"},
                                           {"diagnosis", "diagnosis"},
                                           {"diagnoses", "diagnosis"},
                                           {"basis", "basis"},
                                           {"bases", "basis"},
                                           {"analysis", "analysis"},
                                           {"analyses", "analysis"},
                                           {"ta", "tum"},
                                           {"ia", "ium"},
                                           {"news", "news"},
                                           {"ss", "ss"},
                                           {"s", ""}};
constexpr std::string_view uncountable[] = {"equipment", "fish",   "information", "jeans",  "money",
                                            "rice",      "series", "sheep",       "species"};

}  // namespace detail

/// The singular of an English noun by rules; letters that stay keep their case.
inline std::string singular(std::string_view word) {
  const std::string low = lower_case(word);
  for (const std::string_view same : detail::uncountable)
    if (low.ends_with(same)) {
      const std::size_t at = low.size() - same.size();
      if (at == 0 || !(io::is_word(static_cast<unsigned char>(low[at - 1])) || low[at - 1] < 0))
        return std::string(word);
    }
  for (const detail::SingularRule& rule : detail::singular_rules) {
    if (!low.ends_with(rule.end) || (rule.whole && low.size() != rule.end.size())) continue;
    if (!rule.before.empty()) {
      if (low.size() == rule.end.size()) continue;
      const char before = low[low.size() - rule.end.size() - 1];
      if (rule.before.find(before) != rule.before.npos) continue;
    }
    std::string result(word.substr(0, word.size() - rule.end.size()));
    const std::size_t kept = result.size();
    result += rule.singular;
    for (std::size_t i = kept; i < std::min(result.size(), word.size()); ++i)
      if (result[i] == low[i]) result[i] = word[i];
    return result;
  }
  return std::string(word);
}

/// Stems answers as OpenFlamingo does for OK-VQA: words of its list by the list, words in -ing to the shortest lemma of
/// the verb, plural nouns to their singular; words stay in their order with one space between.
///
/// Which words are plural nouns a tagger says: NLTK's (PerceptronTagger) for numbers that compare with published ones.
template <class Tagger>
class OkVqaStemmer {
 public:
  OkVqaStemmer(const WordNet& wordnet, const Tagger& tagger) : wordnet_(wordnet), tagger_(tagger) {}

  std::string stem(std::string_view answer) const {
    std::vector<std::string> words = treebank_words(answer);
    const std::vector<std::string> tags = tagger_.tag(words);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto* known = std::lower_bound(std::begin(detail::ok_vqa_words), std::end(detail::ok_vqa_words), words[i],
                                           [](const auto& pair, const std::string& word) { return pair.first < word; });
      if (known != std::end(detail::ok_vqa_words) && known->first == words[i])
        words[i] = known->second;
      else if (words[i].ends_with("ing"))
        words[i] = wordnet_.lemma(words[i], WordNet::verb);
      else if (tags[i].starts_with("NNS") || tags[i].starts_with("NNPS"))
        words[i] = singular(words[i]);
    }
    return joined(words);
  }

 private:
  const WordNet& wordnet_;
  const Tagger& tagger_;
};

}  // namespace flamingo
