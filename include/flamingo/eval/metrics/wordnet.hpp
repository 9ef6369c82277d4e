/// WordNet: lemmas, and how alike two meanings are. Reads the database as Princeton publishes it (Debian: wordnet-base,
/// in /usr/share/wordnet), which the library does not contain.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/words.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

class WordNet {
 public:
  enum Part : std::size_t { noun, verb, adjective, adverb };
  /// A meaning: its place in the file of its part of speech.
  struct Synset {
    Part part = noun;
    std::uint32_t offset = 0;
    friend auto operator<=>(const Synset&, const Synset&) = default;
  };

  /// Maps index.*, data.* and reads *.exc of a folder. Throws with the path where one is missing.
  explicit WordNet(const std::filesystem::path& folder) {
    for (const std::string_view name : {"noun", "verb", "adj", "adv"}) {
      const auto file = [&](const std::string& path) { return io::MappedFile(folder / path); };
      index_.push_back(file("index." + std::string(name)));
      data_.push_back(file("data." + std::string(name)));
      const io::MappedFile exceptions = file(std::string(name) + ".exc");
      auto& known = exceptions_.emplace_back();
      std::istringstream lines{std::string(exceptions.text())};
      for (std::string line; std::getline(lines, line);) {
        std::vector<std::string> words = words_of(line);
        if (words.size() < 2) continue;
        const std::string form = words[0];
        words.erase(words.begin());
        auto& forms = known[form];
        forms.insert(forms.end(), words.begin(), words.end());
      }
    }
  }

  /// The lemmas that a form may be of, as WordNet's morphology finds them: the form itself and what exceptions, or else
  /// rules, make of it, where the database has them.
  std::vector<std::string> lemmas(const std::string& form, Part part) const {
    std::vector<std::string> forms{form};
    if (const auto found = exceptions_[part].find(form); found != exceptions_[part].end()) {
      forms.insert(forms.end(), found->second.begin(), found->second.end());
    } else {
      for (const auto& [of, end, base] : rules)
        if (of == part && form.ends_with(end))
          forms.push_back(form.substr(0, form.size() - end.size()) + std::string(base));
    }
    std::vector<std::string> known;
    for (const std::string& candidate : forms)
      if (!line_of(candidate, part).empty() && std::find(known.begin(), known.end(), candidate) == known.end())
        known.push_back(candidate);
    return known;
  }
  /// The shortest of them, the first of equals; the form where there is none.
  std::string lemma(const std::string& form, Part part) const {
    const std::vector<std::string> all = lemmas(form, part);
    if (all.empty()) return form;
    return *std::min_element(all.begin(), all.end(),
                             [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  }

  /// All meanings of a word, nouns first, each part's in the order of their use.
  std::vector<Synset> synsets(std::string_view word) const {
    std::vector<Synset> all;
    const std::string low = lower_case(word);
    for (const Part part : {noun, verb, adjective, adverb})
      for (const std::string& lemma : lemmas(low, part))
        for (const std::uint32_t offset : offsets(lemma, part)) all.push_back({part, offset});
    return all;
  }

  /// Wu and Palmer's similarity as NLTK computes it: 2 d / (l₁ + l₂), d the depth of the deepest meaning that both are
  /// kinds of (counted from 1 by its longest way up), l₁ and l₂ d plus the ways to it. Verbs and mixed parts of speech
  /// have a root above all. None where nothing connects them.
  std::optional<double> similarity(const Synset& a, const Synset& b) const {
    const bool root = a.part != noun || b.part != noun;
    std::map<Synset, int> up_a, up_b;
    climb(a, up_a);
    climb(b, up_b);
    // The candidates with the greatest least depth; the root has depth 0.
    int deepest = -1;
    std::vector<Synset> found;
    for (const auto& [synset, ignored] : up_a) {
      if (!up_b.contains(synset)) continue;
      const int depth = least_depth(synset);
      if (depth > deepest) found.clear();
      deepest = std::max(deepest, depth);
      if (depth == deepest) found.push_back(synset);
    }
    const auto above = [&](const std::map<Synset, int>& up) {  // from the start to the root above all
      int longest = 0;
      for (const auto& [ignored, distance] : up) longest = std::max(longest, distance);
      return longest + 1;
    };
    if (found.empty()) {
      if (!root) return std::nullopt;
      return 2.0 / (2 + above(up_a) + above(up_b));
    }
    // Among several NLTK takes the one that is `a`, else the first by name; its root's name comes before all letters.
    Synset subsumer = found[0];
    bool is_root = root && deepest == 0;
    if (std::find(found.begin(), found.end(), a) != found.end()) {
      subsumer = a;
      is_root = false;
    } else {
      std::string least = name(subsumer);
      for (const Synset& other : found)
        if (std::string other_name = name(other); other_name < least) {
          least = std::move(other_name);
          subsumer = other;
        }
    }
    if (is_root) return 2.0 / (2 + above(up_a) + above(up_b));
    const int depth = greatest_depth(subsumer) + 1;
    std::map<Synset, int> up;
    climb(subsumer, up);
    const auto way = [&](const Synset& from, const std::map<Synset, int>& up_from) {
      if (from == subsumer) return 0;
      int shortest = 1 << 20;
      for (const auto& [synset, distance] : up)
        if (const auto other = up_from.find(synset); other != up_from.end())
          shortest = std::min(shortest, distance + other->second);
      return root ? std::min(shortest, above(up) + above(up_from)) : shortest;
    };
    return 2.0 * depth / (2 * depth + way(a, up_a) + way(b, up_b));
  }

 private:
  struct Rule {
    Part part;
    std::string_view end, base;
  };
  static constexpr std::array<Rule, 21> rules{
      {{noun, "s", ""},        {noun, "ses", "s"},    {noun, "ves", "f"},     {noun, "xes", "x"},
       {noun, "zes", "z"},     {noun, "ches", "ch"},  {noun, "shes", "sh"},   {noun, "men", "man"},
       {noun, "ies", "y"},     {verb, "s", ""},       {verb, "ies", "y"},     {verb, "es", "e"},
       {verb, "es", ""},       {verb, "ed", "e"},     {verb, "ed", ""},       {verb, "ing", "e"},
       {verb, "ing", ""},      {adjective, "er", ""}, {adjective, "est", ""}, {adjective, "er", "e"},
       {adjective, "est", "e"}}};

  /// The line of a lemma in the index, which is sorted; empty where there is none.
  std::string_view line_of(std::string_view lemma, Part part) const {
    const std::string_view text = index_[part].text();
    if (lemma.empty() || lemma.find_first_of(" \n") != lemma.npos) return {};
    std::size_t low = 0, high = text.size();
    while (low < high) {
      std::size_t begin = low + (high - low) / 2;
      while (begin > low && text[begin - 1] != '\n') --begin;
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      const std::string_view key = line.substr(0, line.find(' '));
      if (!key.empty() && key == lemma) return line;
      if (key < lemma)
        low = std::min(end + 1, text.size());
      else
        high = begin;
    }
    return {};
  }
  static std::uint32_t number(std::string_view digits, int base = 10) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    check(error == std::errc() && end == digits.data() + digits.size(), "wordnet", "found '", digits,
          "', expected a number");
    return value;
  }
  /// lemma pos synset_cnt p_cnt [ptr_symbol...] sense_cnt tagsense_cnt synset_offset...
  std::vector<std::uint32_t> offsets(std::string_view lemma, Part part) const {
    const std::vector<std::string> fields = words_of(line_of(lemma, part));
    std::vector<std::uint32_t> all;
    if (fields.size() < 6) return all;
    for (std::size_t i = 6 + number(fields[3]); i < fields.size(); ++i) all.push_back(number(fields[i]));
    return all;
  }
  /// offset lex_filenum ss_type w_cnt(hex) word lex_id [word lex_id...] p_cnt [symbol offset pos source/target...] ...
  std::vector<std::string> fields_of(const Synset& synset) const {
    const std::string_view text = data_[synset.part].text();
    check(synset.offset < text.size(), "wordnet", data_[synset.part].path().string(), ": found no synset at byte ",
          synset.offset);
    const std::size_t end = std::min(text.find_first_of("|\n", synset.offset), text.size());
    std::vector<std::string> fields = words_of(text.substr(synset.offset, end - synset.offset));
    check(fields.size() > 6 && number(fields[0]) == synset.offset, "wordnet", data_[synset.part].path().string(),
          ": found no synset at byte ", synset.offset);
    return fields;
  }
  /// What it is a kind or an instance of.
  const std::vector<Synset>& hypernyms(const Synset& synset) const {
    const auto [place, fresh] = hypernyms_.try_emplace(synset);
    if (!fresh) return place->second;
    const std::vector<std::string> fields = fields_of(synset);
    const std::size_t at = 4 + 2 * std::size_t{number(fields[3], 16)};
    check(at < fields.size(), "wordnet", "the synset at byte ", synset.offset, " is cut short");
    const std::size_t pointers = number(fields[at]);
    check(at + 4 * pointers < fields.size(), "wordnet", "the synset at byte ", synset.offset, " is cut short");
    for (std::size_t p = 0; p < pointers; ++p) {
      const std::string& symbol = fields[at + 1 + 4 * p];
      if (symbol == "@" || symbol == "@i") place->second.push_back({synset.part, number(fields[at + 2 + 4 * p])});
    }
    return place->second;
  }
  /// All that it is a kind of, itself too, and the shortest way to each.
  void climb(const Synset& from, std::map<Synset, int>& distances) const {
    std::vector<Synset> front{from};
    for (int distance = 0; !front.empty(); ++distance) {
      std::vector<Synset> next;
      for (const Synset& synset : front) {
        if (!distances.emplace(synset, distance).second) continue;
        const auto& up = hypernyms(synset);
        next.insert(next.end(), up.begin(), up.end());
      }
      front = std::move(next);
    }
  }
  int least_depth(const Synset& s) const {
    int least = -1;
    for (const Synset& up : hypernyms(s)) least = least < 0 ? least_depth(up) : std::min(least, least_depth(up));
    return least + 1;
  }
  int greatest_depth(const Synset& s) const {
    int greatest = -1;
    for (const Synset& up : hypernyms(s)) greatest = std::max(greatest, greatest_depth(up));
    return greatest + 1;
  }
  /// NLTK's name of a meaning: "dog.n.01".
  std::string name(const Synset& synset) const {
    const std::vector<std::string> fields = fields_of(synset);
    const std::string lemma = lower_case(fields[4]);
    const std::vector<std::uint32_t> all = offsets(lemma, synset.part);
    const auto sense = std::find(all.begin(), all.end(), synset.offset) - all.begin() + 1;
    return lemma + "." + fields[2] + "." + (sense < 10 ? "0" : "") + std::to_string(sense);
  }

  std::vector<io::MappedFile> index_, data_;
  std::vector<std::map<std::string, std::vector<std::string>>> exceptions_;
  mutable std::map<Synset, std::vector<Synset>> hypernyms_;  // known so far
};

}  // namespace flamingo
