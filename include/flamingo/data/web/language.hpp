/// Whether a text is English, by the small words that every sentence of a language has.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>

#include <flamingo/data/web/words.hpp>

namespace flamingo::web {

/// A text is English where this share of its words are English function words, and no other language knows more of it.
struct LanguageRules {
  double least_share = 0.10;
};

namespace detail {

/// Function words of languages that share the Latin script; a text in another script has none of them.
constexpr std::array<std::string_view, 14> function_words{
    "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which "
    "you "
    "were there their been has when who will more if out so up into than them its can only other some could these then "
    "do any my now such our over also would about your how what she her me did may after",
    "der die das und den von zu mit sich des auf ist im dem nicht ein eine als auch es an werden aus er hat dass sie "
    "nach wird bei einer um am sind noch wie einem einen so zum kann wenn oder nur ich diese mehr durch sein war",
    "de la le les et des en un du une que est pour qui dans par plus pas au sur ne se ce il sont avec ou son mais "
    "comme "
    "cette aux nous vous elle leur ses ces fait tout sans ont deux bien peut avoir",
    "de la que el en y los se del las un por con no una su para es al lo como o pero sus le ha si porque esta entre "
    "cuando muy sin sobre ser tiene ya todo esta desde nos uno ni ese eso",
    "di che e la il un a per in una mi sono ho non ma lo ha le si con da come io questo qui ci bene nel della dei del "
    "al "
    "gli alla delle anche nella essere stato questa fra loro dalla sul",
    "de que e o do da em um para com uma os no se na por mais as dos como mas ao ele das seu sua ou quando muito nos "
    "esta eu tem foi ser sem pelo pela ela entre depois mesmo aos seus quem",
    "de het een en van ik te dat die in je niet is op met voor zijn er maar om aan ook dan als bij nog uit naar heeft "
    "hebben wordt door over worden kan geen deze meer tot dit haar hun wel onder",
    "och i att det som en av den till har de med inte om ett men var jag sig kan vi nu eller vid hade sin efter mot "
    "hon "
    "ska under alla skulle utan varit mycket vara finns detta",
    "og i at det er en til af som den for med de der var ikke et har om jeg han ved kan fra men vi skal blev eller "
    "efter "
    "sig ud sin nu da havde hun blive meget her alle mod",
    "w i na z do to nie jest o jak za ale po co tak od przez czy tym dla tego ich oraz przy jego tylko ma przed jako "
    "być "
    "są się może lub które który jednak bardzo",
    "a se na je v to z do o i ve jako pro by že si ale za po s k tak od jsem jsou byl jeho jen nebo které který také "
    "až "
    "však při podle má více než bylo být",
    "bir ve bu da de için ile çok o ne olarak daha gibi kadar ama sonra var olan en ya her ki ben mi değil onun bana "
    "şey diye ise göre",
    "ja on ei se että oli hän mutta ovat kun niin kuin myös joka tai jos ole vain sitä sen jo voi nyt mitä ollut hänen "
    "kanssa mukaan sekä siitä",
    "dan yang di dengan untuk dari ini itu tidak pada dalam akan ada juga adalah ke oleh saya dia mereka bisa karena "
    "atau kita sudah telah lebih hanya dapat seperti"};

/// Which languages a word belongs to, a bit each; bit 0 is English.
inline const std::unordered_map<std::string_view, std::uint32_t>& languages_of_words() {
  static const auto table = [] {
    std::unordered_map<std::string_view, std::uint32_t> words;
    for (std::size_t language = 0; language < function_words.size(); ++language) {
      const std::string_view list = function_words[language];
      for (std::size_t at = 0; at < list.size();) {
        const std::size_t end = std::min(list.find(' ', at), list.size());
        words[list.substr(at, end - at)] |= 1u << language;
        at = end + 1;
      }
    }
    return words;
  }();
  return table;
}

}  // namespace detail

/// Whether a text of these words is English.
inline bool is_english(std::span<const Word> words, const LanguageRules& rules = {}) {
  const auto& table = detail::languages_of_words();
  std::array<std::size_t, detail::function_words.size()> hits{};
  std::size_t letters = 0;
  std::array<char, 16> low{};
  for (const Word& word : words) {
    std::size_t begin = 0, end = word.text.size();
    const auto letter = [&](std::size_t i) {
      const char c = word.text[i];
      return (c & 0x80) || ((c | 32) >= 'a' && (c | 32) <= 'z');
    };
    while (begin < end && !letter(begin)) ++begin;
    while (end > begin && !letter(end - 1)) --end;
    if (begin == end) continue;
    ++letters;
    if (end - begin > 9) continue;
    for (std::size_t i = begin; i < end; ++i) {
      const char c = word.text[i];
      low[i - begin] = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    const auto found = table.find(std::string_view(low.data(), end - begin));
    if (found == table.end()) continue;
    for (std::size_t language = 0; language < hits.size(); ++language) hits[language] += found->second >> language & 1;
  }
  const auto english = static_cast<double>(hits[0]);
  return letters > 0 && english >= rules.least_share * static_cast<double>(letters) &&
         hits[0] >= *std::max_element(hits.begin() + 1, hits.end());
}

}  // namespace flamingo::web
