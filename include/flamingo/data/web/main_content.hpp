/// What a page is about: its title, its main text, and the pictures at their places in it.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/data/web/boilerplate.hpp>
#include <flamingo/data/web/html.hpp>
#include <flamingo/data/web/image_source.hpp>

namespace flamingo::web {

/// How the matter of a page is told from what surrounds it. Shares are of characters.
struct ContentOptions {
  double guess_share = 0.5;      ///< an element named like a menu with more of the page's text is none
  double semantic_share = 0.4;   ///< of the text outside links that <article> or <main> must hold to be believed
  double container_share = 0.9;  ///< the matter is the deepest element that holds this share of the text
  double sidebar_links = 0.1;    ///< a sidebar with a smaller share of links is a box of prose within the matter
  double link_density = 0.6;     ///< a list, table or paragraph with a larger share of links is navigation
  ImageSourceOptions images{};
};

/// A picture in the matter of a page.
struct ContentImage {
  std::size_t offset = 0;  ///< into MainContent::text: it stands before this byte
  std::string source{};    ///< as the page writes it
  std::string alt{}, caption{};
};

/// What is kept of a page. Paragraphs are parted by an empty line, items and rows by a line end.
struct MainContent {
  std::string title, language, license, base;  ///< language, license, base: as the page declares them, or empty
  std::string text;
  std::vector<ContentImage> images;
};

/// Finds the matter of one page after another; what it needs for that is kept from page to page.
class ContentFinder {
 public:
  explicit ContentFinder(const ContentOptions& options = {}) : options_(options) {}

  /// The matter of a page. A page without any has an empty text.
  MainContent find(const HtmlTree& tree) {
    tree_ = &tree;
    count();
    MainContent content;
    const std::uint32_t container = find_container();
    collect(container);
    drop_navigation();
    write(content);
    read_head(content);
    return content;
  }

 private:
  enum class Kind : std::uint8_t { paragraph, heading, item, row, pre };
  /// A run of text that a reader sees as one, in raw_.
  struct Block {
    Kind kind = Kind::paragraph;
    std::uint32_t node = 0;   // the element that made it
    std::uint32_t group = 0;  // its outermost list or table, or 0
    std::size_t begin = 0, end = 0;
    std::uint32_t chars = 0, linked = 0, letters = 0;
    std::size_t first_image = 0;
    int level = 0;  // of a heading
    bool kept = true;
  };

  const Node& node(std::uint32_t i) const { return tree_->nodes[i]; }
  std::uint32_t all(std::uint32_t i) const { return all_[node(i).end] - all_[i]; }
  std::uint32_t good(std::uint32_t i) const { return good_[node(i).end] - good_[i]; }

  static bool is_block(Tag tag) {
    switch (tag) {
      case Tag::text:
      case Tag::other:
      case Tag::a:
      case Tag::img:
      case Tag::picture:
      case Tag::source:
      case Tag::noscript:
      case Tag::cell:
      case Tag::br:
        return false;
      default:
        return true;
    }
  }

  /// Characters before each node, and those of them outside links and boilerplate; which nodes are what.
  void count() {
    const std::size_t n = tree_->nodes.size();
    all_.assign(n + 1, 0);
    good_.assign(n + 1, 0);
    blocks_before_.assign(n + 1, 0);
    state_.assign(n, 0);
    for (std::uint32_t i = 0; i < n; ++i) {
      std::uint32_t chars = 0;
      if (node(i).tag == Tag::text)
        for (const char c : node(i).text) chars += static_cast<unsigned char>(c) > ' ' && (c & 0xc0) != 0x80;
      all_[i + 1] = all_[i] + chars;
      blocks_before_[i + 1] = blocks_before_[i] + (is_block(node(i).tag) ? 1 : 0);
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      std::uint8_t state = i == 0 ? 0 : state_[node(i).parent];
      if (node(i).tag == Tag::a && tree_->has(node(i), Attribute::href)) state |= linked;
      if (is_matter(i)) state |= matter;
      if (!(state & excluded) && i > 0 && is_around(i, state)) state |= excluded;
      state_[i] = state;
      const bool is_good = node(i).tag == Tag::text && !(state & (excluded | linked));
      good_[i + 1] = good_[i] + (is_good ? all_[i + 1] - all_[i] : 0);
    }
  }

  /// Whether the page says that an element is its matter.
  bool is_matter(std::uint32_t i) const {
    return node(i).tag == Tag::article || tree_->get(node(i), Attribute::role) == "main" ||
           tree_->get(node(i), Attribute::itemprop) == "articleBody";
  }

  /// Whether an element is not the matter: by its tag, or by a name that is believed.
  bool is_around(std::uint32_t i, std::uint8_t state) const {
    if (node(i).tag == Tag::text) return false;
    if (is_boilerplate(*tree_, node(i))) return true;
    if (node(i).tag == Tag::aside && !(state & matter)) return true;
    if (node(i).tag == Tag::header && !(state & matter)) {
      bool titled = false;
      for (std::uint32_t k = i + 1; k < node(i).end; ++k) titled |= node(k).tag == Tag::h1;
      if (!titled) return true;
    }
    const double chars = all(i);
    if (chars >= options_.guess_share * all(0)) return false;
    if (is_named_boilerplate(*tree_, node(i))) return true;
    return is_named_sidebar(*tree_, node(i)) && links_of(i) >= options_.sidebar_links * chars;
  }
  /// Characters in links.
  double links_of(std::uint32_t i) const {
    double chars = 0;
    for (std::uint32_t k = i; k < node(i).end; ++k) {
      if (node(k).tag != Tag::a) continue;
      chars += all(k);
      k = node(k).end - 1;
    }
    return chars;
  }

  std::uint32_t find_container() const {
    std::uint32_t container = 0;
    const double whole = good(0);
    double best = options_.semantic_share * whole;
    for (std::uint32_t i = 1; i < tree_->nodes.size(); ++i)
      if (is_matter(i) && !(state_[i] & excluded) && good(i) > best) {
        best = good(i);
        container = i;
      }
    const double share = options_.container_share * good(container);
    for (bool deeper = true; deeper;) {
      deeper = false;
      for (std::uint32_t i = container + 1; i < node(container).end; i = node(i).end) {
        const Tag tag = node(i).tag;
        const bool holds = tag == Tag::root || tag == Tag::block || tag == Tag::article || tag == Tag::row ||
                           tag == Tag::cell || (tag == Tag::table && lays_out(i));
        if (holds && good(i) > 0 && good(i) >= share && !has_title_outside(container, i)) {
          container = i;
          deeper = true;
          break;
        }
      }
    }
    return container;
  }

  /// Whether the page's heading stands in an element, but not in a part of it.
  bool has_title_outside(std::uint32_t whole, std::uint32_t part) const {
    for (std::uint32_t k = whole + 1; k < node(whole).end; k = k == part ? node(part).end : k + 1)
      if (k != part && node(k).tag == Tag::h1 && !(state_[k] & excluded)) return true;
    return false;
  }

  /// The blocks and pictures of a subtree, in order.
  void collect(std::uint32_t container) {
    raw_.clear();
    blocks_.clear();
    images_.clear();
    stack_.clear();
    group_ = 0;
    group_end_ = 0;
    open_ = false;
    const std::uint32_t end = node(container).end;
    for (std::uint32_t i = container; i < end;) {
      while (!stack_.empty() && node(stack_.back()).end <= i) leave();
      if (state_[i] & excluded) {
        i = node(i).end;
        continue;
      }
      enter(i);
      ++i;
    }
    while (!stack_.empty()) leave();
    close();
  }

  void enter(std::uint32_t i) {
    const Tag tag = node(i).tag;
    switch (tag) {
      case Tag::text:
        add_text(i);
        return;
      case Tag::img:
        add_image(i);
        return;
      case Tag::br:
        if (open_) (raw_ += '\n', space_ = false);
        return;
      case Tag::cell:
        if (blocks_before_[node(i).end] > blocks_before_[i + 1]) {  // of a table that lays out a page
          close();
          stack_.push_back(i);
        } else if (open_) {
          raw_ += '\t';
          space_ = false;
        }
        return;
      default:
        break;
    }
    if (!is_block(tag)) return;
    close();
    if ((tag == Tag::list || tag == Tag::table) && i >= group_end_ && !lays_out(i)) {
      group_ = i;
      group_end_ = node(i).end;
    }
    if (tag == Tag::pre) ++pre_;
    stack_.push_back(i);
  }

  void leave() {
    if (node(stack_.back()).tag == Tag::pre) --pre_;
    stack_.pop_back();
    close();
  }

  /// Whether a table holds paragraphs, headings or tables in its cells: then it is no table of data.
  bool lays_out(std::uint32_t i) const {
    if (node(i).tag != Tag::table) return false;
    for (std::uint32_t k = i + 1; k < node(i).end; ++k)
      if (heading_level(node(k).tag) > 0 || node(k).tag == Tag::table) return true;
    return false;
  }

  void open(std::uint32_t i) {
    open_ = true;
    space_ = false;
    const std::uint32_t maker = stack_.empty() ? node(i).parent : stack_.back();
    Block block{.node = maker, .group = i < group_end_ ? group_ : 0, .begin = raw_.size()};
    block.first_image = images_.size();
    for (auto s = stack_.rbegin(); s != stack_.rend(); ++s) {
      const Tag tag = node(*s).tag;
      if (const int level = heading_level(tag); level > 0) {
        block.kind = Kind::heading;
        block.level = level;
      } else if (tag == Tag::pre) {
        block.kind = Kind::pre;
      } else if (tag == Tag::item) {
        block.kind = Kind::item;
      } else if (tag == Tag::row) {
        block.kind = Kind::row;
      } else if (tag == Tag::other || tag == Tag::block) {
        continue;
      }
      break;
    }
    blocks_.push_back(block);
  }

  void close() {
    if (!open_) return;
    open_ = false;
    Block& block = blocks_.back();
    while (raw_.size() > block.begin && is_space(raw_.back())) raw_.pop_back();
    block.end = raw_.size();
    for (std::size_t k = block.first_image; k < images_.size(); ++k)
      images_[k].offset = std::min(images_[k].offset, raw_.size());
  }

  void add_text(std::uint32_t i) {
    const std::string_view text = node(i).text;
    const bool is_link = state_[i] & linked;
    if (is_link && is_permalink(text)) return;
    const std::uint32_t chars = all_[i + 1] - all_[i];
    if (!open_) {
      if (chars == 0) return;
      open(i);
    }
    Block& block = blocks_.back();
    if (pre_ > 0)
      raw_ += raw_.size() == block.begin && text.starts_with('\n') ? text.substr(1) : text;
    else
      append_collapsed(block, text);
    block.chars += chars;
    if (is_link) block.linked += chars;
    if (block.letters == 0)
      for (const char c : text)
        if ((c & 0x80) || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')) ++block.letters;
  }

  void append_collapsed(const Block& block, std::string_view text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      const char c = text[at];
      const bool no_break = c == '\xc2' && at + 1 < text.size() && text[at + 1] == '\xa0';
      if (is_space(c) || no_break) {
        space_ = true;
        at += no_break;
        continue;
      }
      if (space_ && raw_.size() > block.begin && !is_space(raw_.back())) raw_ += ' ';
      space_ = false;
      raw_ += c;
    }
  }

  /// The sign that generators put behind a heading as a link to itself.
  static bool is_permalink(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text == "\xc2\xb6" || text == "#" || text == "\xc2\xa7" || text == "\xf0\x9f\x94\x97";
  }
  static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  void add_image(std::uint32_t i) {
    const std::string_view source = image_source(*tree_, i, options_.images);
    if (source.empty()) return;
    // What <noscript> repeats for browsers without scripts.
    if (!images_.empty() && images_.back().source == source && in_noscript(i)) return;
    ContentImage image{.offset = raw_.size(), .source = std::string(source)};
    bool space = false;
    collapse(image.alt, tree_->get(node(i), Attribute::alt), space);
    caption_of(i, image.caption);
    images_.push_back(std::move(image));
    image_groups_.resize(images_.size());
    image_groups_.back() = i < group_end_ ? group_ : 0;
  }

  bool in_noscript(std::uint32_t i) const {
    for (std::uint32_t p = node(i).parent; p != 0; p = node(p).parent)
      if (node(p).tag == Tag::noscript) return true;
    return false;
  }

  static void collapse(std::string& out, std::string_view text, bool& space) {
    for (const char c : text) {
      if (is_space(c)) {
        space = !out.empty();
      } else {
        if (space) out += ' ';
        space = false;
        out += c;
      }
    }
  }

  /// The text of what is marked as the caption of the figure around image `i`: <figcaption>, or an element whose class
  /// says caption, or title, in one whose class says figure.
  void caption_of(std::uint32_t i, std::string& caption) const {
    constexpr int farthest = 6;
    std::uint32_t p = node(i).parent;
    for (int steps = 0; p != 0 && steps < farthest; ++steps, p = node(p).parent) {
      const std::string_view names = tree_->get(node(p), Attribute::cls);
      const bool figure = node(p).tag == Tag::figure || any_of(names, {"figure", "figures", "thumb", "caption", "image",
                                                                       "mediaobject", "imageblock"});
      if (!figure) continue;
      for (std::uint32_t k = p + 1; k < node(p).end; ++k) {
        if (node(k).tag == Tag::text) continue;
        if (node(k).tag != Tag::caption &&
            !any_of(tree_->get(node(k), Attribute::cls), {"caption", "figcaption", "title", "thumbcaption"}))
          continue;
        bool space = false;
        for (std::uint32_t t = k; t < node(k).end; ++t) {
          if (node(t).tag == Tag::text && !((state_[t] & linked) && is_permalink(node(t).text)))
            collapse(caption, node(t).text, space);
          else if (is_block(node(t).tag))
            space = !caption.empty();
        }
        if (!caption.empty()) return;
      }
    }
  }

  static bool any_of(std::string_view names, std::initializer_list<std::string_view> words) {
    return !names.empty() && detail::any_word(names, [&](std::string_view word) {
      return std::find(words.begin(), words.end(), word) != words.end();
    });
  }

  /// Lists, tables and paragraphs that are links, and headings that have nothing left under them.
  void drop_navigation() {
    const auto dense = [&](double linked_chars, double chars) { return linked_chars > options_.link_density * chars; };
    for (std::size_t b = 0; b < blocks_.size();) {
      std::size_t e = b + 1;
      std::uint32_t chars = blocks_[b].chars, links = blocks_[b].linked;
      if (blocks_[b].group != 0)
        for (; e < blocks_.size() && blocks_[e].group == blocks_[b].group; ++e) {
          chars += blocks_[e].chars;
          links += blocks_[e].linked;
        }
      const bool drop = blocks_[b].kind != Kind::heading && dense(links, chars);
      if (drop && blocks_[b].group != 0) dropped_groups_.push_back(blocks_[b].group);
      for (; b < e; ++b) blocks_[b].kept = !drop && blocks_[b].letters > 0;
    }
    std::array<bool, 7> below{};  // whether a heading of that level, if it stood here, would have something to head
    std::size_t image = images_.size();
    for (std::size_t b = blocks_.size(); b-- > 0;) {
      Block& block = blocks_[b];
      for (; image > 0 && images_[image - 1].offset >= block.begin; --image) below.fill(true);
      if (!block.kept) continue;
      if (block.kind != Kind::heading) {
        below.fill(true);
        continue;
      }
      const auto level = static_cast<std::size_t>(block.level);
      block.kept = below[level];
      std::fill(below.begin() + block.level, below.end(), false);
    }
  }

  void write(MainContent& content) {
    std::size_t image = 0;
    const Block* last = nullptr;
    const auto take_images = [&](std::size_t before, std::size_t from, std::size_t shift) {
      for (; image < images_.size() && images_[image].offset < before; ++image) {
        if (std::find(dropped_groups_.begin(), dropped_groups_.end(), image_groups_[image]) != dropped_groups_.end())
          continue;
        ContentImage& moved = images_[image];
        moved.offset = moved.offset <= from ? shift : shift + (moved.offset - from);
        content.images.push_back(std::move(moved));
      }
    };
    for (const Block& block : blocks_) {
      take_images(block.begin + 1, block.begin, content.text.size());
      if (!block.kept) {
        take_images(block.end, block.end, content.text.size());
        continue;
      }
      if (last != nullptr) content.text += joined(*last, block) ? "\n" : "\n\n";
      if (block.kind == Kind::item) content.text += "- ";
      take_images(block.end, block.begin, content.text.size());
      content.text.append(raw_, block.begin, block.end - block.begin);
      last = &block;
    }
    take_images(raw_.size() + 1, raw_.size(), content.text.size());
    dropped_groups_.clear();
  }

  /// Whether two blocks are neighbours in one list or table.
  static bool joined(const Block& a, const Block& b) {
    return a.group != 0 && a.group == b.group && (b.kind == Kind::item || b.kind == Kind::row);
  }

  void read_head(MainContent& content) const;

  static constexpr std::size_t most_headings = 64;
  static constexpr std::uint8_t excluded = 1, linked = 2, matter = 4;
  ContentOptions options_;
  const HtmlTree* tree_ = nullptr;
  std::vector<std::uint32_t> all_, good_, blocks_before_, stack_, image_groups_, dropped_groups_;
  std::vector<std::uint8_t> state_;
  std::string raw_;
  std::vector<Block> blocks_;
  std::vector<ContentImage> images_;
  std::uint32_t group_ = 0, group_end_ = 0;
  int pre_ = 0;
  bool open_ = false, space_ = false;
};

namespace detail {

inline std::string text_of(const HtmlTree& tree, std::uint32_t i) {
  std::string text;
  bool space = false;
  for (std::uint32_t k = i; k < tree.nodes[i].end; ++k) {
    if (tree.nodes[k].tag != Tag::text) continue;
    const std::string_view piece = tree.nodes[k].text;
    for (std::size_t at = 0; at < piece.size(); ++at) {
      const char c = piece[at];
      if (c == ' ' || (c >= '\t' && c <= '\r')) {
        space = !text.empty();
      } else if (piece.compare(at, 2, "\xc2\xa0") == 0) {
        space = !text.empty();
        ++at;
      } else if (piece.compare(at, 2, "\xc2\xb6") == 0) {
        ++at;
      } else {
        if (space) text += ' ';
        space = false;
        text += c;
      }
    }
  }
  return text;
}

/// The parts of "The page - The site".
inline std::vector<std::string_view> parts_of_title(std::string_view title) {
  constexpr std::array<std::string_view, 7> separators{" | ",        " - ", " -- ", " \xe2\x80\x94 ", " \xe2\x80\x93 ",
                                                       " \xc2\xb7 ", " :: "};
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= title.size();) {
    std::size_t end = title.size(), length = 1;
    for (const std::string_view separator : separators)
      if (const std::size_t found = title.find(separator, at); found < end) {
        end = found;
        length = separator.size();
      }
    parts.push_back(title.substr(at, end - at));
    at = end + length;
  }
  return parts;
}

}  // namespace detail

/// Title: of the headings h1 and h2, the one that <title> repeats first, or og:title; else og:title; else of the parts
/// of <title> the longest that a heading repeats, or the first; else the first heading.
inline void ContentFinder::read_head(MainContent& content) const {
  std::string title, og_title;
  std::vector<std::string> headings;
  content.language = std::string(tree_->get(node(0), Attribute::lang));
  for (std::uint32_t i = 0; i < tree_->nodes.size(); ++i) {
    const Node& n = node(i);
    if (n.tag == Tag::title && title.empty()) title = detail::text_of(*tree_, i);
    if ((n.tag == Tag::h1 || n.tag == Tag::h2) && !(state_[i] & excluded) && headings.size() < most_headings)
      headings.push_back(detail::text_of(*tree_, i));
    if (n.tag == Tag::meta && tree_->get(n, Attribute::property) == "og:title")
      og_title = std::string(tree_->get(n, Attribute::content));
    if (n.tag == Tag::base && content.base.empty()) content.base = std::string(tree_->get(n, Attribute::href));
    if (content.license.empty() && n.attributes > 1 && tree_->get(n, Attribute::rel) == "license")
      content.license = std::string(tree_->get(n, Attribute::href));
  }
  std::size_t earliest = std::string::npos;
  for (const std::string& heading : headings) {
    const std::size_t at = heading.empty() ? std::string::npos : og_title == heading ? 0 : title.find(heading);
    if (at >= earliest) continue;
    earliest = at;
    content.title = heading;
  }
  if (!content.title.empty()) return;
  content.title = og_title;
  if (!content.title.empty()) return;
  const auto parts = detail::parts_of_title(title);
  std::string_view best;
  for (const std::string_view part : parts)
    for (const std::string& heading : headings)
      if (part.size() > best.size() && heading.find(part) != std::string::npos) best = part;
  content.title = std::string(best.empty() ? parts.front() : best);
  if (content.title.empty() && !headings.empty()) content.title = headings.front();
}

}  // namespace flamingo::web
