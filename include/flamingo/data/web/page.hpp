/// One page from its bytes to a candidate document, or to the rule that drops it: encoding, markup, matter, text rules.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/charset.hpp>
#include <flamingo/data/web/html.hpp>
#include <flamingo/data/web/language.hpp>
#include <flamingo/data/web/main_content.hpp>
#include <flamingo/data/web/minhash.hpp>
#include <flamingo/data/web/repetition.hpp>
#include <flamingo/data/web/text_rules.hpp>
#include <flamingo/data/web/url.hpp>
#include <flamingo/data/web/words.hpp>

namespace flamingo::web {

struct PageOptions {
  HtmlLimits html{};
  ContentOptions content{};
  bool english_only = true;
  LanguageRules language{};
  TextRules text{};
  RepetitionRules repetition{};
  MinHashRules minhash{};
  bool title_in_text = true;  ///< a text that does not show its title gets it as its first line
};

/// A page that was read. Where `dropped` names a rule, `why` says more and the rest is as far as it got.
struct ReadPage {
  std::string_view dropped;  ///< empty: it is kept
  std::string why;
  MainContent content;
  std::string base;  ///< what its addresses are relative to
  Signature signature{};
};

/// Reads one page after another.
class PageReader {
 public:
  explicit PageReader(const PageOptions& options = {})
      : options_(options),
        parser_(options.html),
        finder_(options.content),
        repetition_(options.repetition),
        minhash_(options.minhash) {}

  /// `header`: the Content-Type the page was served with, where known.
  ReadPage read(std::string_view bytes, const std::string& url, std::string_view header = {}) {
    ReadPage page;
    try {
      check(bytes.size() <= options_.html.bytes, "page", url, ": the page has ", bytes.size(), " bytes, at most ",
            options_.html.bytes, " are read");
      text_ = to_utf8(bytes, header);
      page.content = finder_.find(parser_.parse(text_, url));
    } catch (const Error& error) {
      page.dropped = "unreadable";
      page.why = error.what();
      return page;
    }
    MainContent& content = page.content;
    page.base = content.base.empty() ? url : resolve_url(url, content.base);
    if (options_.title_in_text) show_title(content);
    page.dropped = fault(page);
    if (page.dropped.empty()) page.signature = minhash_(words_);
    return page;
  }

 private:
  std::string_view fault(ReadPage& page) {
    const MainContent& content = page.content;
    if (content.text.empty()) return "no_text";
    split_words(content.text, words_);
    page.why = std::to_string(words_.size()) + " words: " + beginning(content.text);
    if (words_.size() >= options_.text.least_words && options_.english_only && !is_english(words_, options_.language))
      return "not_english";
    if (const TextFault f = text_fault(content.text, words_, options_.text); f != TextFault::none) return name_of(f);
    if (const RepetitionFault f = repetition_.fault(content.text, words_); f != RepetitionFault::none)
      return name_of(f);
    return {};
  }

  static void show_title(MainContent& content) {
    constexpr std::size_t near = 200;
    const std::string_view start = std::string_view(content.text).substr(0, content.title.size() + near);
    if (content.title.empty() || content.text.empty() || start.find(content.title) != std::string_view::npos) return;
    const std::string line = content.title + "\n\n";
    content.text.insert(0, line);
    for (ContentImage& image : content.images) image.offset += line.size();
  }

  /// Of a text, for samples: whole code points, on one line.
  static std::string beginning(std::string_view text) {
    std::size_t length = std::min<std::size_t>(text.size(), 120);
    while (length < text.size() && length > 0 && (text[length] & 0xc0) == 0x80) --length;
    std::string result(text.substr(0, length));
    for (char& c : result)
      if (detail::is_white(c)) c = ' ';
    return result;
  }

  PageOptions options_;
  HtmlParser parser_;
  ContentFinder finder_;
  RepetitionFinder repetition_;
  MinHasher minhash_;
  std::string text_;
  std::vector<Word> words_;
};

}  // namespace flamingo::web
