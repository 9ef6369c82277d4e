/// Captions without dates and places, which nobody can tell from a picture: Flamingo's pairs had theirs taken out
/// (Alayrac et al. 2022, appendix A).
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// Countries, states of the USA and some cities: what captions name most. Small letters, sorted.
inline constexpr std::array<std::string_view, 181> common_places{"afghanistan",
                                                                 "alabama",
                                                                 "alaska",
                                                                 "algeria",
                                                                 "amsterdam",
                                                                 "argentina",
                                                                 "arizona",
                                                                 "arkansas",
                                                                 "athens",
                                                                 "atlanta",
                                                                 "australia",
                                                                 "austria",
                                                                 "bangkok",
                                                                 "bangladesh",
                                                                 "barcelona",
                                                                 "beijing",
                                                                 "belgium",
                                                                 "berlin",
                                                                 "bolivia",
                                                                 "boston",
                                                                 "brazil",
                                                                 "brussels",
                                                                 "budapest",
                                                                 "buenos aires",
                                                                 "bulgaria",
                                                                 "cairo",
                                                                 "california",
                                                                 "cambodia",
                                                                 "canada",
                                                                 "cape town",
                                                                 "chicago",
                                                                 "chile",
                                                                 "china",
                                                                 "colombia",
                                                                 "colorado",
                                                                 "connecticut",
                                                                 "copenhagen",
                                                                 "costa rica",
                                                                 "croatia",
                                                                 "cuba",
                                                                 "cyprus",
                                                                 "czech republic",
                                                                 "dallas",
                                                                 "delaware",
                                                                 "delhi",
                                                                 "denmark",
                                                                 "denver",
                                                                 "detroit",
                                                                 "dubai",
                                                                 "dublin",
                                                                 "ecuador",
                                                                 "edinburgh",
                                                                 "egypt",
                                                                 "england",
                                                                 "estonia",
                                                                 "ethiopia",
                                                                 "europe",
                                                                 "finland",
                                                                 "florida",
                                                                 "france",
                                                                 "georgia",
                                                                 "germany",
                                                                 "ghana",
                                                                 "greece",
                                                                 "guatemala",
                                                                 "hamburg",
                                                                 "hawaii",
                                                                 "helsinki",
                                                                 "hong kong",
                                                                 "houston",
                                                                 "hungary",
                                                                 "iceland",
                                                                 "idaho",
                                                                 "illinois",
                                                                 "india",
                                                                 "indiana",
                                                                 "indonesia",
                                                                 "iowa",
                                                                 "iran",
                                                                 "iraq",
                                                                 "ireland",
                                                                 "israel",
                                                                 "istanbul",
                                                                 "italy",
                                                                 "jakarta",
                                                                 "jamaica",
                                                                 "japan",
                                                                 "jerusalem",
                                                                 "jordan",
                                                                 "kansas",
                                                                 "kentucky",
                                                                 "kenya",
                                                                 "kyoto",
                                                                 "laos",
                                                                 "las vegas",
                                                                 "latvia",
                                                                 "lebanon",
                                                                 "lisbon",
                                                                 "lithuania",
                                                                 "london",
                                                                 "los angeles",
                                                                 "louisiana",
                                                                 "luxembourg",
                                                                 "madrid",
                                                                 "maine",
                                                                 "malaysia",
                                                                 "malta",
                                                                 "manchester",
                                                                 "maryland",
                                                                 "massachusetts",
                                                                 "melbourne",
                                                                 "mexico",
                                                                 "miami",
                                                                 "michigan",
                                                                 "milan",
                                                                 "minnesota",
                                                                 "mississippi",
                                                                 "missouri",
                                                                 "montana",
                                                                 "montreal",
                                                                 "morocco",
                                                                 "moscow",
                                                                 "mumbai",
                                                                 "munich",
                                                                 "myanmar",
                                                                 "nebraska",
                                                                 "nepal",
                                                                 "netherlands",
                                                                 "nevada",
                                                                 "new hampshire",
                                                                 "new jersey",
                                                                 "new mexico",
                                                                 "new york",
                                                                 "new york city",
                                                                 "new zealand",
                                                                 "nigeria",
                                                                 "north carolina",
                                                                 "north dakota",
                                                                 "northern ireland",
                                                                 "norway",
                                                                 "ohio",
                                                                 "oklahoma",
                                                                 "oregon",
                                                                 "oslo",
                                                                 "pakistan",
                                                                 "panama",
                                                                 "paris",
                                                                 "pennsylvania",
                                                                 "peru",
                                                                 "philippines",
                                                                 "poland",
                                                                 "portugal",
                                                                 "prague",
                                                                 "quebec",
                                                                 "rio de janeiro",
                                                                 "romania",
                                                                 "rome",
                                                                 "russia",
                                                                 "san francisco",
                                                                 "scotland",
                                                                 "seattle",
                                                                 "seoul",
                                                                 "serbia",
                                                                 "shanghai",
                                                                 "singapore",
                                                                 "slovakia",
                                                                 "slovenia",
                                                                 "south africa",
                                                                 "south korea",
                                                                 "spain",
                                                                 "sri lanka",
                                                                 "stockholm",
                                                                 "sweden",
                                                                 "switzerland",
                                                                 "sydney",
                                                                 "thailand",
                                                                 "tokyo",
                                                                 "turkey",
                                                                 "ukraine",
                                                                 "united kingdom",
                                                                 "united states"};
static_assert(std::is_sorted(common_places.begin(), common_places.end()));

namespace detail {

/// A run of letters and digits of a text.
struct CaptionWord {
  std::size_t begin = 0, end = 0;
  std::string lower{};
  bool capital = false, digits = false;
};

inline std::vector<CaptionWord> caption_words(std::string_view text) {
  const auto kind = [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
    return c >= '0' && c <= '9' ? 1 : letter ? 2 : 0;
  };
  std::vector<CaptionWord> words;
  for (std::size_t at = 0; at < text.size();) {
    if (kind(text[at]) == 0) {
      ++at;
      continue;
    }
    CaptionWord word{.begin = at};
    word.capital = text[at] >= 'A' && text[at] <= 'Z';
    word.digits = true;
    for (; at < text.size() && kind(text[at]) != 0; ++at) {
      word.digits = word.digits && kind(text[at]) == 1;
      word.lower += text[at] >= 'A' && text[at] <= 'Z' ? static_cast<char>(text[at] - 'A' + 'a') : text[at];
    }
    word.end = at;
    words.push_back(std::move(word));
  }
  return words;
}

/// Takes spans of words out of a text, and what they leave of spaces, brackets and commas.
class CaptionEditor {
 public:
  explicit CaptionEditor(std::string_view text) : text_(text), words_(caption_words(text)), gone_(words_.size(), 0) {}

  const std::vector<CaptionWord>& words() const { return words_; }
  std::size_t size() const { return words_.size(); }
  const std::string& lower(std::size_t word) const {
    static const std::string none;
    return word < words_.size() ? words_[word].lower : none;
  }
  bool is(std::size_t word, std::initializer_list<std::string_view> any) const {
    return std::find(any.begin(), any.end(), lower(word)) != any.end();
  }
  /// What stands between a word and the next.
  std::string_view gap(std::size_t word) const {
    const std::size_t from = words_[word].end, to = word + 1 < words_.size() ? words_[word + 1].begin : text_.size();
    return text_.substr(from, to - from);
  }
  /// What stands before a word.
  std::string_view before(std::size_t word) const {
    return word == 0 ? text_.substr(0, words_[0].begin) : gap(word - 1);
  }
  void drop(std::size_t first, std::size_t count) {
    std::fill_n(gone_.begin() + static_cast<std::ptrdiff_t>(first), count, char{1});
  }

  std::string text() const {
    std::string kept;
    std::size_t at = 0;
    for (std::size_t w = 0; w < words_.size(); ++w) {
      if (!gone_[w]) continue;
      std::size_t last = w;
      while (last + 1 < words_.size() && gone_[last + 1]) ++last;
      kept += text_.substr(at, words_[w].begin - at);
      at = words_[last].end;
      w = last;
    }
    if (at == 0) return std::string(text_);
    return tidy(kept += text_.substr(at));
  }

 private:
  static std::string tidy(const std::string& text) {
    std::string out;
    const auto drop_spaces = [&] {
      while (!out.empty() && out.back() == ' ') out.pop_back();
    };
    for (const char c : text) {
      if (c == ' ' && (out.empty() || out.back() == ' ' || out.back() == '(')) continue;
      if (c == ',' || c == '.' || c == ';' || c == ':' || c == ')') {
        drop_spaces();
        if (c == ')' && !out.empty() && (out.back() == '(' || out.back() == ',')) {
          const bool empty = out.back() == '(';
          out.pop_back();
          if (empty) continue;
        }
        // Of a comma and what follows it the latter is left.
        while (c != ')' && !out.empty() && (out.back() == ',' || out.back() == ';' || out.back() == ':'))
          out.pop_back();
        if (out.empty() || (c != ')' && out.back() == '(')) continue;
      }
      out += c;
    }
    drop_spaces();
    while (!out.empty() && (out.back() == ',' || out.back() == ' ' || out.back() == '-' || out.back() == ':'))
      out.pop_back();
    return out;
  }

  std::string_view text_;
  std::vector<CaptionWord> words_;
  std::vector<char> gone_;
};

inline bool is_month(const CaptionEditor& e, std::size_t word) {
  return e.is(word, {"january",   "february", "march",    "april",    "may",  "june", "july", "august",
                     "september", "october",  "november", "december", "jan",  "feb",  "mar",  "apr",
                     "jun",       "jul",      "aug",      "sep",      "sept", "oct",  "nov",  "dec"});
}
inline bool is_weekday(const CaptionEditor& e, std::size_t word) {
  return e.is(word, {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"});
}
/// Its value where a word is digits alone, or digits and st, nd, rd, th; else -1.
inline int number_word(const CaptionEditor& e, std::size_t word) {
  std::string_view text = e.lower(word);
  for (const std::string_view ending : {"st", "nd", "rd", "th"})
    if (text.size() > 2 && text.ends_with(ending)) {
      text.remove_suffix(2);
      break;
    }
  if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != std::string_view::npos) return -1;
  int value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}
inline bool is_day(const CaptionEditor& e, std::size_t word) {
  const int n = number_word(e, word);
  return n >= 1 && n <= 31 && e.lower(word).size() <= 4;
}
inline bool is_year(const CaptionEditor& e, std::size_t word) {
  const int n = number_word(e, word);
  return word < e.size() && e.words()[word].digits && n >= 1800 && n <= 2099;
}
inline bool near_gap(std::string_view gap) {
  return gap == " " || gap == ", " || gap == ". " || gap == "." || gap == ",";
}

/// How many words from `at` on are a date or a time; 0: none.
inline std::size_t date_length(const CaptionEditor& e, std::size_t at) {
  const auto follows = [&](std::size_t word) { return word < e.size() && word > 0 && near_gap(e.gap(word - 1)); };
  const auto with_year = [&](std::size_t length) {
    return follows(at + length) && is_year(e, at + length) ? length + 1 : length;
  };
  if (is_day(e, at)) {  // 12 May 2019, 12th of May
    const std::size_t month = at + 1 + (e.is(at + 1, {"of"}) ? 1 : 0);
    if (is_month(e, month) && follows(month)) return with_year(month + 1 - at);
  }
  if (is_month(e, at)) {  // May 12, 2019; May 2019
    if (follows(at + 1) && is_year(e, at + 1)) return 2;
    if (follows(at + 1) && is_day(e, at + 1)) return with_year(2);
  }
  if (at + 2 < e.size() && e.words()[at].digits && e.words()[at + 1].digits && e.words()[at + 2].digits) {
    const std::string_view mark = e.gap(at);  // 2019-05-12, 12/05/2019, 12.05.19
    const bool dated = (mark == "-" || mark == "/" || mark == ".") && e.gap(at + 1) == mark;
    const std::size_t sizes[] = {e.lower(at).size(), e.lower(at + 1).size(), e.lower(at + 2).size()};
    if (dated && sizes[1] <= 2 &&
        ((sizes[0] == 4 && sizes[2] <= 2) || (sizes[0] <= 2 && (sizes[2] == 4 || sizes[2] == 2))))
      return 3;
  }
  if (at + 1 < e.size() && e.words()[at].digits && e.gap(at) == ":" && e.lower(at + 1).size() == 2 && is_day(e, at))
    if (number_word(e, at) < 24 && number_word(e, at + 1) < 60)  // 10:30 am
      return e.is(at + 2, {"am", "pm"}) && follows(at + 2) ? 3 : 2;
  if (is_year(e, at)) {  // (2019); ..., 2019
    const std::string_view left = e.before(at), right = e.gap(at);
    if ((left.ends_with('(') && right.starts_with(')')) ||
        (left == ", " && (at + 1 == e.size() || right.starts_with('.'))))
      return 1;
    if (at > 0 && left == " " && e.is(at - 1, {"in", "since", "circa", "ca", "until", "during", "from"})) return 1;
  }
  return 0;
}

/// The words of the place that begins at `at`: a known name of up to four words; 0: none.
inline std::size_t place_length(const CaptionEditor& e, std::size_t at, std::span<const std::string_view> places) {
  if (at >= e.size() || !e.words()[at].capital) return 0;
  std::size_t longest = 0;
  std::string name;
  for (std::size_t w = at; w < e.size() && w < at + 4; ++w) {
    if (w > at && e.gap(w - 1) != " ") break;
    name += (w > at ? " " : "") + e.lower(w);
    if (std::binary_search(places.begin(), places.end(), std::string_view(name))) longest = w + 1 - at;
  }
  return longest;
}

}  // namespace detail

/// A caption without its dates and times of day: "12 May 2019", "May 12th", "on 2019-05-12", "in 1987", "(1987)", with
/// a weekday and a preposition before them. Months and years that may be a part of a name stay.
inline std::string without_dates(std::string_view caption) {
  detail::CaptionEditor e(caption);
  for (std::size_t at = 0; at < e.size(); ++at) {
    const std::size_t length = detail::date_length(e, at);
    if (length == 0) continue;
    std::size_t first = at;
    if (first > 0 && detail::is_weekday(e, first - 1) && detail::near_gap(e.gap(first - 1))) --first;
    if (first > 0 && e.gap(first - 1) == " " && e.is(first - 1, {"the"})) --first;
    if (first > 0 && e.gap(first - 1) == " " &&
        e.is(first - 1, {"on", "in", "at", "from", "since", "until", "dated", "circa", "ca", "during", "by"}))
      --first;
    e.drop(first, at + length - first);
    at += length - 1;
  }
  return e.text();
}

/// A caption without the places that end in a known name: "in Paris", "near Springfield, Illinois", ", New York". A
/// name that is no such addition ("a Paris street") stays. `places`: small letters, sorted.
inline std::string without_places(std::string_view caption, std::span<const std::string_view> places = common_places) {
  check(std::is_sorted(places.begin(), places.end()), "captions", "the list of places is expected to be sorted");
  detail::CaptionEditor e(caption);
  for (std::size_t at = 0; at < e.size(); ++at) {
    // Capitalised words and commas that lead to a known name belong to it: Springfield, Illinois.
    std::size_t end = at, length = 0;
    while (end < e.size() && (length = detail::place_length(e, end, places)) == 0 && e.words()[end].capital &&
           end < at + 4 && (e.gap(end) == " " || e.gap(end) == ", "))
      ++end;
    if (length == 0 || (end > at && e.gap(end - 1) != ", ")) continue;
    end += length;
    while (end < e.size() && e.gap(end - 1) == ", " && (length = detail::place_length(e, end, places)) > 0)
      end += length;
    std::size_t first = at;
    if (first > 0 && e.gap(first - 1) == " " && e.is(first - 1, {"the"})) --first;
    const bool preposition = first > 0 && e.gap(first - 1) == " " &&
                             e.is(first - 1, {"in", "at", "near", "from", "around", "outside", "across", "throughout"});
    const std::string_view left = e.before(first), right = e.gap(end - 1);
    const bool added = left == ", " || left.ends_with('(') || left.ends_with("- ");
    const bool ends = end == e.size() || right.find_first_of(",.;:)!?") == 0;
    if (!preposition && !(added && ends)) continue;
    if (preposition) --first;
    e.drop(first, end - first);
    at = end - 1;
  }
  return e.text();
}

}  // namespace flamingo
