/// Words and their parts of speech, as NLTK finds them: the words of the Penn Treebank, and an averaged perceptron.
#pragma once
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/words.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// One sentence's words: punctuation stands alone, "isn't" is "is" and "n't", "dog's" is "dog" and "'s". Of NLTK's
/// rules those that short answers meet; quotes are not turned.
inline std::vector<std::string> treebank_words(std::string_view text) {
  std::vector<std::string> words;
  for (std::string& piece : words_of(text)) {
    std::string word;
    const auto close = [&] {
      if (!word.empty()) words.push_back(std::exchange(word, {}));
    };
    for (std::size_t at = 0; at < piece.size(); ++at) {
      const char c = piece[at];
      const bool last = at + 1 == piece.size();
      const bool digit_next = !last && std::isdigit(static_cast<unsigned char>(piece[at + 1]));
      const bool alone = std::string_view(";@#$%&?!*()[]{}<>\"").find(c) != std::string_view::npos ||
                         ((c == ':' || c == ',') && !digit_next);
      if (alone) {
        close();
        words.emplace_back(1, c);
      } else {
        word += c;
      }
    }
    // Endings.
    for (const std::string_view end :
         {"n't", "N'T", "'ll", "'LL", "'re", "'RE", "'ve", "'VE", "'s", "'S", "'m", "'M", "'d", "'D", "'"})
      if (word.size() > end.size() && word.ends_with(end)) {
        std::string tail(end);
        word.resize(word.size() - end.size());
        close();
        word = std::move(tail);
        break;
      }
    close();
  }
  // The period that ends the text.
  if (!words.empty() && words.back().size() > 1 && words.back().back() == '.' &&
      words.back()[words.back().size() - 2] != '.') {
    words.back().pop_back();
    words.emplace_back(".");
  }
  return words;
}

/// NLTK's averaged perceptron (Honnibal 2013), with its weights: the folder averaged_perceptron_tagger_eng of NLTK's
/// data, which the library does not contain.
class PerceptronTagger {
 public:
  /// Reads averaged_perceptron_tagger_LANGUAGE.{weights,tagdict,classes}.json.
  explicit PerceptronTagger(const std::filesystem::path& folder, std::string_view language = "eng") {
    const auto read = [&](std::string_view part) {
      const auto path =
          folder / ("averaged_perceptron_tagger_" + std::string(language) + "." + std::string(part) + ".json");
      const io::MappedFile file(path);
      return io::Json::parse(file.text(), path.string());
    };
    const io::Json weights = read("weights"), known = read("tagdict"), classes = read("classes");
    for (const io::Json& tag : classes.as_array()) tags_.push_back(tag.as_string());
    check(!tags_.empty(), "tagger", folder.string(), ": found no classes");
    std::sort(tags_.begin(), tags_.end());
    for (const auto& [word, tag] : known.as_object()) known_.emplace(word, tag.as_string());
    for (const auto& [feature, of_tags] : weights.as_object()) {
      auto& list = weights_[feature];
      for (const auto& [tag, weight] : of_tags.as_object()) {
        const auto found = std::lower_bound(tags_.begin(), tags_.end(), tag);
        check(found != tags_.end() && *found == tag, "tagger", folder.string(), ": found the tag '", tag,
              "', which is no class");
        list.emplace_back(static_cast<std::size_t>(found - tags_.begin()), weight.as_double());
      }
    }
  }

  /// The tag of each word of a sentence.
  std::vector<std::string> tag(const std::vector<std::string>& words) const {
    std::vector<std::string> context{"-START-", "-START2-"};
    for (const std::string& word : words) context.push_back(normal(word));
    context.insert(context.end(), {"-END-", "-END2-"});
    std::vector<std::string> tags;
    std::string one_before = "-START-", two_before = "-START2-";
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto known = known_.find(words[i]);
      tags.push_back(known != known_.end() ? known->second : best(words[i], context, i + 2, one_before, two_before));
      two_before = std::exchange(one_before, tags.back());
    }
    return tags;
  }

 private:
  static bool digit(char c) { return c >= '0' && c <= '9'; }
  static std::string normal(const std::string& word) {
    if (word.find('-') != word.npos && word[0] != '-') return "!HYPHEN";
    if (word.size() == 4 && std::all_of(word.begin(), word.end(), digit)) return "!YEAR";
    if (!word.empty() && digit(word[0])) return "!DIGITS";
    return lower_case(word);
  }
  /// The last three code points.
  static std::string suffix(const std::string& word) {
    std::size_t at = word.size();
    for (int n = 0; n < 3 && at > 0; ++n) do
        --at;
      while (at > 0 && (static_cast<unsigned char>(word[at]) & 0xc0) == 0x80);
    return word.substr(at);
  }
  static std::string first(const std::string& word) {
    return word.empty() ? word : word.substr(0, io::decode_utf8(word, 0).length);
  }
  std::string best(const std::string& word, const std::vector<std::string>& context, std::size_t i,
                   const std::string& one, const std::string& two) const {
    std::vector<double> scores(tags_.size(), 0.0);
    const auto add = [&](const std::string& feature) {
      if (const auto found = weights_.find(feature); found != weights_.end())
        for (const auto& [tag, weight] : found->second) scores[tag] += weight;
    };
    add("bias");
    add("i suffix " + suffix(word));
    add("i pref1 " + first(word));
    add("i-1 tag " + one);
    add("i-2 tag " + two);
    add("i tag+i-2 tag " + one + " " + two);
    add("i word " + context[i]);
    add("i-1 tag+i word " + one + " " + context[i]);
    add("i-1 word " + context[i - 1]);
    add("i-1 suffix " + suffix(context[i - 1]));
    add("i-2 word " + context[i - 2]);
    add("i+1 word " + context[i + 1]);
    add("i+1 suffix " + suffix(context[i + 1]));
    add("i+2 word " + context[i + 2]);
    // Of equal scores the last in the alphabet.
    std::size_t at = 0;
    for (std::size_t tag = 1; tag < scores.size(); ++tag)
      if (scores[tag] >= scores[at]) at = tag;
    return tags_[at];
  }

  std::vector<std::string> tags_;  ///< ascending
  std::unordered_map<std::string, std::string> known_;
  std::unordered_map<std::string, std::vector<std::pair<std::size_t, double>>> weights_;
};

}  // namespace flamingo
