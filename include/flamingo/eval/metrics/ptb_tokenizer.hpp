/// Words of captions as the Penn Treebank writes them: "isn't" is "is n't", "(" is "-lrb-".
///
/// The scores of COCO are defined over the tokens of Stanford's PTBTokenizer 3.4.1 (-preserveLines -lowerCase), and so
/// are its quirks: abbreviations keep their period, "yes!no" is one word, a telephone number has no-break spaces
/// inside. What is here was written after watching that program; tests hold a list of what it does.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/metrics/ptb_words.hpp>
#include <flamingo/eval/metrics/words.hpp>

namespace flamingo {

namespace detail {

/// A line, from token to token: at each place the longest of what the grammar below allows.
class PtbLexer {
 public:
  /// `following` is what comes after the line; only whether it begins a sentence counts.
  explicit PtbLexer(std::string_view line, std::string_view following = {}) {
    read(line);
    const std::size_t own = text_.size();
    read(following.substr(0, 200));
    following_ = text_.substr(own);
    text_.resize(own);
    entity("&amp;", '&');
    entity("&lt;", '<');
    entity("&gt;", '>');
    entity("&quot;", '"');
    entity("&apos;", '\'');
    entity("&nbsp;", no_break_space);
  }

  std::vector<std::string> tokens() {
    while (at_ < text_.size()) {
      if (is_gap(text_[at_])) {
        ++at_;
        continue;
      }
      next();
    }
    return std::move(tokens_);
  }

 private:
  using Place = std::size_t;
  static constexpr char32_t soft_hyphen = 0xad, no_break_space = 0xa0;

  static bool is_gap(char32_t c) {
    return is_blank(c) || (c >= 0x200b && c <= 0x200f) || c == 0xfeff || c < 0x20 || c == 0x7f;
  }
  static bool ascii(char32_t c) { return c < 0x80 && io::is_letter(c); }
  static bool letter(char32_t c) {  // marks too
    return io::is_letter(c) || (c >= 0x2c2 && c <= 0x2ff) ||
           (c >= 0x300 && io::is_word(c) && !io::is_number(c) && !io::detail::contains(signs, c));
  }
  static bool digit(char32_t c) { return io::is_number(c) && (c < 0x80 || io::is_word(c)); }
  static bool figure(char32_t c) { return c >= '0' && c <= '9'; }
  static bool alnum(char32_t c) { return letter(c) || digit(c); }
  static bool apostrophe(char32_t c) { return c == '\'' || c == 0x92 || c == 0x2019; }
  static bool quote(char32_t c) { return apostrophe(c) || c == '`' || c == 0x91 || c == 0x2018 || c == 0x201b; }
  static bool any(char32_t c, std::u32string_view of) { return c != 0 && of.find(c) != of.npos; }

  char32_t peek(Place at) const { return at < text_.size() ? text_[at] : 0; }
  void read(std::string_view from) {
    for (std::size_t at = 0; at < from.size();) {
      const io::CodePoint point = io::decode_utf8(from, at);
      if (point.valid && point.value != soft_hyphen) text_ += point.value;
      at += point.length;
    }
  }
  /// Whether white space and one of the words that begin sentences come next.
  bool sentence_begins(Place at) const {
    std::u32string rest = text_.substr(std::min(at, text_.size()), 200);
    (rest += U' ') += following_;
    Place first = 0;
    while (first < rest.size() && is_gap(rest[first])) ++first;
    if (first == 0 || (at < text_.size() && !is_gap(text_[at]))) return false;
    Place end = first;
    while (end < rest.size() && !is_gap(rest[end])) ++end;
    const std::string word(rest.begin() + static_cast<std::ptrdiff_t>(first),
                           rest.begin() + static_cast<std::ptrdiff_t>(end));
    return std::find(std::begin(sentence_starters), std::end(sentence_starters), word) != std::end(sentence_starters);
  }
  template <class Is>
  Place run(Place at, const Is& is, std::size_t most = ~std::size_t{0}) const {
    const Place first = at;
    while (at < text_.size() && at - first < most && is(text_[at])) ++at;
    return at;
  }
  /// Where a lower case ASCII text ends that stands here in any case, with any apostrophe; 0 where it does not.
  Place spelled(Place at, std::string_view low) const {
    for (const char c : low) {
      const char32_t found = peek(at++);
      if (c == '\'' ? !apostrophe(found) : lower_case(found) != static_cast<char32_t>(c) || found >= 0x80) return 0;
    }
    return at;
  }
  void entity(std::string_view name, char32_t meaning) {
    const std::u32string wide(name.begin(), name.end());
    for (Place at = text_.find(wide); at != text_.npos; at = text_.find(wide, at + 1))
      text_.replace(at, wide.size(), 1, meaning);
  }

  // --- what a token may be: where it ends, or `at` itself

  /// Letters and digits, and ".", "!" or "?" between letters.
  Place word(Place at) const {
    if (!letter(peek(at))) return at;
    Place end = run(at, alnum);
    while (any(peek(end), U".!?") && letter(peek(end + 1))) end = run(end + 1, alnum);
    return peek(end) == '.' && any(peek(end + 1), U",;:") ? end + 1 : end;
  }
  /// One piece of a hyphenated word: letters and digits, perhaps behind d', o' or l'.
  Place piece(Place at) const {
    if (any(peek(at), U"dDoOlL") && quote(peek(at + 1)) && alnum(peek(at + 2))) at += 2;
    return run(at, alnum);
  }
  static bool hyphen(char32_t c) { return c == '-' || c == '_' || c == 0x2010 || c == 0x2011; }
  Place hyphenated(Place at) const {
    Place end = piece(at);
    if (end == at) return at;
    for (Place next; hyphen(peek(end)) && (next = piece(end + 1)) > end + 1;) end = next;
    return end;
  }
  /// "5.5-inch", "U.S.-based".
  Place dotted_hyphenated(Place at) const {
    if (!alnum(peek(at))) return at;
    const auto inside = [](char32_t c) { return ascii(c) || figure(c) || c == '.' || c == ','; };
    const auto plain = [](char32_t c) { return ascii(c) || figure(c); };
    Place end = run(at + 1, inside), found = at;
    while (peek(end) == '-') {
      Place next = run(end + 1, plain);
      const Place dots = acronym(end + 1);
      if (dots > next) next = dots;
      if (next == end + 1) break;
      found = end = next;
    }
    return found;
  }
  /// "his/her", "24/7/365".
  Place slashed(Place at) const {
    const auto plain = [](char32_t c) { return ascii(c) || figure(c); };
    const auto part = [&](Place from) {
      Place end = run(from, plain);
      if (end == from) return from;
      for (int i = 0; i < 2 && peek(end) == '-' && ascii(peek(end + 1)); ++i) end = run(end + 1, ascii);
      return end;
    };
    Place end = part(at), found = at;
    if (end == at) return at;
    for (int i = 0; i < 2 && peek(end) == '/'; ++i) {
      const Place next = part(end + 1);
      if (next == end + 1) break;
      found = end = next;
    }
    return found;
  }
  /// "AT&T".
  Place initials(Place at) const {
    const auto capital = [](char32_t c) { return c >= 'A' && c <= 'Z'; };
    Place end = run(at, capital), found = at;
    if (end == at) return at;
    for (Place next; any(peek(end), U"+&") && (next = run(end + 1, capital)) > end + 1;) found = end = next;
    return found;
  }
  /// "U.S.", "a.m."; the last period too where it is there.
  Place acronym(Place at) const {
    if (!ascii(peek(at))) return at;
    Place end = at + 1, found = at;
    while (peek(end) == '.' && ascii(peek(end + 1)) && !alnum(peek(end + 2))) found = end += 2;
    return found > at && peek(found) == '.' ? found + 1 : found;
  }
  Place abbreviation(Place at) const {
    const Place end = run(at, ascii);
    if (end == at || peek(end) != '.') return at;
    std::string low, exact;
    for (Place i = at; i < end; ++i) {
      exact += static_cast<char>(text_[i]);
      low += static_cast<char>(lower_case(text_[i]));
    }
    if (low.size() == 1 && sentence_begins(end + 1)) return at;
    const auto among = [](const auto& list, const std::string& text) {
      return std::find(std::begin(list), std::end(list), text) != std::end(list);
    };
    if (low.size() == 1 || among(any_case_abbreviations, low) || among(few_abbreviations, exact)) return end + 1;
    for (const std::string_view capital : capital_abbreviations)
      if (low == lower_case(capital) && exact[0] == capital[0]) return end + 1;
    const Place after = is_gap(peek(end + 1)) && peek(end + 1) != 0 ? end + 2 : end + 1;
    if (among(number_abbreviations, low) && figure(peek(after))) return end + 1;
    return at;
  }
  /// "3.5", "1,000", "10:30", ".5".
  Place number(Place at) const {
    const Place first = any(peek(at), U"+-") ? at + 1 : at;
    Place end = run(first, digit);
    while (any(peek(end), U".:,") && digit(peek(end + 1))) end = run(end + 1, digit);
    return end > first ? end : at;
  }
  static bool in_number(char32_t c) { return c == ' ' || c == '-' || c == no_break_space; }
  /// "1/2", "3 1/2".
  Place fraction(Place at) const {
    const auto half = [&](Place from) {
      const Place over = run(from, figure, 4);
      if (over == from || peek(over) != '/') return from;
      const Place under = run(over + 1, figure, 4);
      return under > over + 1 ? under : from;
    };
    const Place whole = run(at, figure, 4);
    if (whole > at && in_number(peek(whole)))
      if (const Place end = half(whole + 1); end > whole + 1) return end;
    return half(at);
  }
  /// "(555) 123-4567", "555 121 2222".
  Place telephone(Place at) const {
    const auto rest = [&](Place from) -> Place {
      for (std::size_t n : {std::size_t{4}, std::size_t{3}}) {
        const Place first = run(from, figure, n);
        if (first - from != n) continue;
        const Place second = in_number(peek(first)) ? first + 1 : first;
        const Place end = run(second, figure, 5);
        if (end - second >= 3) return end;
      }
      return 0;
    };
    const auto group = [&](Place from, std::size_t least, std::size_t most) -> Place {
      const Place end = run(from, figure, most);
      return end - from >= least ? end : 0;
    };
    if (peek(at) == '(') {
      const Place end = group(at + 1, 2, 3);
      if (!end || peek(end) != ')') return at;
      const Place found = rest(peek(end + 1) == ' ' || peek(end + 1) == no_break_space ? end + 2 : end + 1);
      return found ? found : at;
    }
    Place from = at;
    while (peek(from) == '+' && from < at + 2) ++from;
    const Place first = group(from, 2, 4);
    if (!first || !in_number(peek(first))) return at;
    Place found = 0;
    if (const Place second = group(first + 1, 2, 4); second && in_number(peek(second))) found = rest(second + 1);
    if (const Place shorter = rest(first + 1); shorter > found) found = shorter;
    return found ? found : at;
  }
  Place address(Place at) const {
    const auto stays = [](char32_t c) { return c > ' ' && !any(c, U"\"<>|()") && c != no_break_space; };
    const auto ends = [&](char32_t c) { return stays(c) && !any(c, U".!?{},-"); };
    const auto back = [&](Place first,
                          Place end) {  // the longest beginning with at least two, the last of which ends it
      while (end > first + 1 && !ends(text_[end - 1])) --end;
      return end > first + 1 ? end : 0;
    };
    for (const std::string_view scheme : {"http://", "https://"})
      if (const Place after = spelled(at, scheme))
        if (const Place end = back(after, run(after, stays))) return end;
    Place end = 0;
    const auto label = [](char32_t c) { return c > ' ' && !any(c, U"\"<>|.!?(){},") && c != no_break_space; };
    if (const Place after = spelled(at, "www.")) {
      Place dot = run(after, label);
      while (dot > after && peek(dot) == '.') {
        const Place top = run(dot + 1, ascii, 4);
        if (top >= dot + 3) end = top;
        const Place next = run(dot + 1, label);
        if (next == dot + 1) break;
        dot = next;
      }
    }
    // The original's class of a label has a range from ',' to '_', so neither capitals nor digits.
    const auto low = [&](char32_t c) { return label(c) && !any(c, U"`'$") && !(c >= ',' && c <= '_'); };
    for (Place dot = run(at, low); dot > at && peek(dot) == '.';) {
      for (const std::string_view top : {"com", "net", "org", "edu"})
        if (const Place whole = spelled(dot + 1, top)) end = std::max(end, whole);
      const Place next = run(dot + 1, low);
      if (next == dot + 1) break;
      dot = next;
    }
    if (end && peek(end) == '/')
      if (const Place path = back(end + 1, run(end + 1, stays))) end = path;
    if (end) return end;
    // name@host
    if (ascii(peek(at)) || figure(peek(at))) {
      const Place word_end = run(at, stays);
      for (Place sign = at + 1; sign < word_end; ++sign)
        if (text_[sign] == '@') {
          const auto host = [&](char32_t c) { return stays(c) && c != '.'; };
          Place stop = run(sign + 1, host);
          if (stop == sign + 1) return at;
          while (peek(stop) == '.' && host(peek(stop + 1))) stop = run(stop + 1, host);
          return stop;
        }
    }
    return at;
  }
  /// "@name", "#topic".
  Place handle(Place at) const {
    const auto name = [](char32_t c) { return ascii(c) || figure(c) || c == '_'; };
    if (peek(at) == '@' && (ascii(peek(at + 1)) || peek(at + 1) == '_')) return run(at + 1, name);
    if (peek(at) == '#' && letter(peek(at + 1))) return run(at + 1, letter);
    return at;
  }
  Place smiley(Place at) const {
    Place eyes = any(peek(at), U"<>") ? at + 1 : at;
    if (any(peek(eyes), U":;=")) {
      for (const Place mouth : {any(peek(eyes + 1), U"-o*'") ? eyes + 2 : eyes + 1, eyes + 1})
        if (any(peek(mouth), U"()DPdpO\\{@|[]") && (mouth + 1 < text_.size() || !following_.empty()) &&
            !ascii(peek(mouth + 1)) && !figure(peek(mouth + 1)))
          return mouth + 1;
    }
    constexpr std::u32string_view faces = U"-^x=~<>'";
    if (any(peek(at), faces) && peek(at + 1) == '_' && any(peek(at + 2), faces)) return at + 3;
    if (peek(at) == '(' && any(peek(at + 1), faces)) {
      const Place nose = any(peek(at + 2), U"_.") ? at + 3 : at + 2;
      if (any(peek(nose), faces) && peek(nose + 1) == ')') return nose + 2;
    }
    return at;
  }
  Place markup(Place at) const {
    if (peek(at) != '<') return at;
    Place name = at + 1;
    const bool comment = any(peek(name), U"!?");
    if (comment || peek(name) == '/') ++name;
    if (!ascii(peek(name)) && !(comment && peek(name) == '-')) return at;
    const auto in_name = [](char32_t c) { return ascii(c) || figure(c) || any(c, U":._-"); };
    const auto space = [](char32_t c) { return c == ' '; };
    if (comment) {
      const Place end = run(name, [](char32_t c) { return c != '>'; });
      return peek(end) == '>' ? end + 1 : at;
    }
    Place end = run(name, in_name);
    for (Place attribute; (attribute = run(end, space)) > end && ascii(peek(attribute));) {
      end = run(attribute, in_name);
      const Place sign = run(end, space);
      if (peek(sign) != '=') continue;
      const Place value = run(sign + 1, space);
      const char32_t around = peek(value);
      if (around == '"' || around == '\'') {
        const Place close = run(value + 1, [&](char32_t c) { return c != around; });
        if (peek(close) != around) return at;
        end = close + 1;
      } else {
        end = run(value, in_name);
      }
    }
    end = run(end, space);
    if (peek(end) == '/') ++end;
    return peek(end) == '>' ? end + 1 : at;
  }
  Place ellipsis(Place at) const {
    if (peek(at) != '.') return peek(at) == 0x2026 ? at + 1 : at;
    if (const Place end = run(
            at, [](char32_t c) { return c == '.'; }, 5);
        end >= at + 3)
      return end;
    Place end = at + 1;
    for (int i = 0; i < 4 && (peek(end) == ' ' || peek(end) == no_break_space) && peek(end + 1) == '.'; ++i) end += 2;
    return end >= at + 5 ? end : at;
  }
  /// A word with an apostrophe that belongs to it.
  Place with_apostrophe(Place at) const {
    Place found = at;
    for (const std::string_view text : apostrophe_words)
      if (const Place end = spelled(at, text); end && (text == "'n'" || !letter(peek(end))))
        found = std::max(found, end);
    if (apostrophe(peek(at))) {
      if (peek(at + 1) == 'n' && (peek(at + 2) == 0 || is_gap(peek(at + 2))))  // 'n
        found = std::max(found, at + 2);
      if (figure(peek(at + 1)) && figure(peek(at + 2))) {
        if (peek(at + 1) >= '2' && peek(at + 2) == '0' && peek(at + 3) == 's') found = at + 4;  // '90s
        if (at + 3 < text_.size() ? is_gap(peek(at + 3)) : !following_.empty()) found = std::max(found, at + 3);  // '99
      }
      return found;
    }
    const Place end = run(at, letter);
    if (end == at || !quote(peek(end))) return found;
    const Place last = run(end + 1, letter);
    const char32_t before = text_[end - 1];
    if (end == at + 1) {
      const bool begins = (before >= 'A' && before <= 'Z' && before != 'I' && before != 'Y') || before == 'n';
      if (begins && last >= end + 3) found = std::max(found, last);  // X'yz
      if (any(before, U"yY") && apostrophe(peek(end)) && letter(peek(end + 1))) found = std::max(found, end + 1);
      if (any(before, U"jJlLdD") && apostrophe(peek(end))) found = std::max(found, end + 1);
    } else if (any(before, U"aeiouy") && last > end + 1) {  // ma'am
      const char32_t next = text_[end + 1];
      if (any(next, U"aeiou") || (next >= 'A' && next <= 'Z')) found = std::max(found, last);
    }
    return found;
  }
  /// The end of 's, 'm, 'd, 're, 've, 'll.
  Place auxiliary(Place at) const {
    if (!apostrophe(peek(at))) return at;
    if (any(peek(at + 1), U"msdMSD") && !ascii(peek(at + 2))) return at + 2;
    for (const std::string_view two : {"re", "ve", "ll"})
      if (const Place end = spelled(at + 1, two); end && !ascii(peek(end))) return end;
    return at;
  }
  bool negation(Place at) const { return any(peek(at), U"nN") && quote(peek(at + 1)) && any(peek(at + 2), U"tT"); }

  // --- one step

  void next() {
    const Place at = at_;
    if (const Place end = auxiliary(at); end > at) return put_as(end, U"'" + text_.substr(at + 1, end - at - 1));
    if (negation(at) && !letter(peek(at + 3))) return put_negation();
    for (const std::string_view it : {"'tis", "'twas"})
      if (spelled(at, it)) {
        put(at + 2);
        return;
      }
    Place best = at;
    for (const Place end : {word(at), hyphenated(at), dotted_hyphenated(at), slashed(at), initials(at), acronym(at),
                            abbreviation(at), number(at), fraction(at), telephone(at), address(at), handle(at),
                            smiley(at), markup(at), with_apostrophe(at)})
      best = std::max(best, end);
    if (const Place end = ellipsis(at); end > best) return put_as(end, U"...");
    if (best == at) return mark();
    if (any(text_[at], U"cC") && peek(at + 1) == '+' && peek(at + 2) == '+') best = std::max(best, at + 3);
    if (any(text_[at], U"cCfF") && peek(at + 1) == '#') best = std::max(best, at + 2);
    for (const std::string_view dollars : {"us$", "c$", "hk$", "a$", "au$"})
      if (const Place end = spelled(at, dollars); end && text_[at] < 'a') best = std::max(best, end);
    // "isn't" is "is" and "n't".
    const Place letters = run(at, ascii);
    if (letters > at + 1 && letters == best && negation(letters - 1)) return put(letters - 1);
    for (const std::string_view doctor : {"ph.d.", "ed.d."})
      if (const Place end = spelled(at, doctor)) return put(end);
    if (letters == best && split(best)) return;
    put(best);
  }

  /// Words that the Treebank writes as two.
  bool split(Place end) {
    struct Two {
      std::string_view word;
      std::size_t first;
    };
    for (const Two& two :
         {Two{"cannot", 3}, Two{"gonna", 3}, Two{"gotta", 3}, Two{"wanna", 3}, Two{"lemme", 3}, Two{"gimme", 3}}) {
      if (spelled(at_, two.word) != end) continue;
      if (quote(peek(end))) return false;
      put(at_ + two.first);
      put(end);
      return true;
    }
    return false;
  }

  /// Punctuation and signs.
  void mark() {
    const Place at = at_;
    const char32_t c = text_[at];
    const auto same = [&](char32_t other) { return other == c; };
    const char32_t next = peek(at + 1);
    const bool opens = ascii(next) || figure(next) || next == '$';
    switch (c) {
      case '"':
        return put_as(at + 1, opens ? U"``" : U"''");
      case '\'':
      case 0x2019:
      case 0x92:
        if (next == '\'') return put_as(at + 2, U"''");
        return put_as(at + 1, ascii(next) && peek(at + 2) != 0 && !is_gap(peek(at + 2)) ? U"`" : U"'");
      case '`':
        return put(at + (next == '`' ? 2 : 1));
      case 0x2018:
      case 0x201b:
      case 0x2039:
        return put_as(at + 1, U"`");
      case 0x203a:
        return put_as(at + 1, U"'");
      case 0x201c:
      case 0xab:
        return put_as(at + 1, U"``");
      case 0x201d:
      case 0xbb:
        return put_as(at + 1, U"''");
      case '(':
        return put_as(at + 1, U"-lrb-");
      case ')':
        return put_as(at + 1, U"-rrb-");
      case '[':
        return put_as(at + 1, U"-lsb-");
      case ']':
        return put_as(at + 1, U"-rsb-");
      case '{':
        return put_as(at + 1, U"-lcb-");
      case '}':
        return put_as(at + 1, U"-rcb-");
      case 0x2013:
      case 0x2014:
      case 0x2015:
        return put_as(at + 1, U"--");
      case '-': {
        const Place end = run(at, same);
        if (end == at + 1 || end > at + 4) return put(end);
        return put_as(end, U"--");
      }
      case '?':
      case '!':
        return put(run(at, [](char32_t other) { return other == '?' || other == '!'; }));
      case '#':
      case '*':
      case '_':
        return put(run(at, same));
      case 0xa3:
        return put_as(at + 1, U"#");
      case 0x20ac:
      case 0xa4:
        return put_as(at + 1, U"$");
      case 0xa2:
        return put_as(at + 1, U"cents");
      case 0xbc:
        return put_as(at + 1, U"1/4");
      case 0xbd:
        return put_as(at + 1, U"1/2");
      case 0xbe:
        return put_as(at + 1, U"3/4");
      case 0x2153:
        return put_as(at + 1, U"1/3");
      case 0x2154:
        return put_as(at + 1, U"2/3");
      default:
        if (c < 0x80 || io::detail::contains(signs, c)) return put(at + 1);
        ++at_;
    }
  }

  void put_negation() {
    const char32_t sign = text_[at_ + 1];
    put_as(at_ + 3, std::u32string{text_[at_], sign == '\'' || apostrophe(sign) ? U'\'' : U'`', text_[at_ + 2]});
  }
  void put(Place end) { put_as(end, std::u32string(text_, at_, end - at_)); }
  void put_as(Place end, std::u32string_view token) {
    const bool longer = token.size() > 1;
    std::string text;
    for (const char32_t c : token) {
      if (longer && c == '(') {
        text += "-lrb-";
      } else if (longer && c == ')') {
        text += "-rrb-";
      } else {
        io::append_utf8(text, c == ' ' ? no_break_space : lower_case(c));
      }
    }
    tokens_.push_back(std::move(text));
    at_ = end;
  }

  std::u32string text_, following_;
  Place at_ = 0;
  std::vector<std::string> tokens_;
};

}  // namespace detail

/// The tokens of one line, punctuation too.
inline std::vector<std::string> ptb_tokens(std::string_view line, std::string_view following = {}) {
  return detail::PtbLexer(line, following).tokens();
}

/// A caption as the scores of COCO see it: tokens without punctuation, one space between them. Brackets and runs such
/// as "!!" stay, since the list of what is left out does not name them.
inline std::string caption_tokens(std::string_view caption, std::string_view following = {}) {
  constexpr std::string_view left_out[] = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"};
  std::vector<std::string> kept;
  for (std::string& token : ptb_tokens(caption, following))
    if (std::find(std::begin(left_out), std::end(left_out), token) == std::end(left_out))
      kept.push_back(std::move(token));
  return joined(kept);
}

/// Captions that are read as one text, one a line, as the original reads all references and then all candidates.
inline std::vector<std::string> caption_tokens(const std::vector<std::string>& captions) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < captions.size(); ++i) {
    std::size_t next = i + 1;
    while (next < captions.size() && trimmed(captions[next]).empty()) ++next;
    const std::string following = i + 1 < captions.size() ? "\n" + (next < captions.size() ? captions[next] : "") : "";
    tokens.push_back(caption_tokens(captions[i], following));
  }
  return tokens;
}

}  // namespace flamingo
