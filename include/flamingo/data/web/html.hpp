/// Markup to a simplified DOM: the parser of HTML5 (gumbo) decides what broken markup means, and of its tree remain the
/// elements, texts and attributes that extraction reads, as one array in document order. Component `web`.
#pragma once
#include <gumbo.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo::web {

/// What extraction tells apart; elements of one meaning are one tag.
enum class Tag : std::uint8_t {
  text,     ///< no element: characters
  other,    ///< an inline element: b, span, ...
  block,    ///< a block without a meaning of its own: div, section, ...
  root,     ///< html, body
  article,  ///< article, main
  h1,
  h2,
  h3,
  h4,
  h5,
  h6,
  paragraph,
  pre,
  list,  ///< ul, ol, dl
  item,  ///< li, dt, dd
  table,
  row,
  cell,
  figure,
  caption,  ///< figcaption, caption
  br,
  rule,  ///< hr
  a,
  img,
  picture,
  source,
  noscript,
  header,
  navigation,  ///< nav, footer, menu: never the page's matter
  aside,
  control,  ///< forms' parts, frames, embedded things
  title,
  meta,
  base,
};

/// 1 to 6 for h1 to h6, 0 for anything else.
constexpr int heading_level(Tag tag) {
  return tag >= Tag::h1 && tag <= Tag::h6 ? static_cast<int>(tag) - static_cast<int>(Tag::h1) + 1 : 0;
}

/// The attributes that are kept.
enum class Attribute : std::uint8_t {
  alt,
  aria_hidden,
  cls,
  content,
  data_original,
  data_src,
  data_srcset,
  height,
  hidden,
  href,
  id,
  itemprop,
  lang,
  media,
  name,
  property,
  rel,
  role,
  src,
  srcset,
  style,
  title,
  type,
  width
};

/// One element or text. The subtree of node i is nodes i to end - 1.
struct Node {
  Tag tag = Tag::other;
  std::uint32_t parent = 0, end = 0;
  std::string_view text{};                            ///< of a text: characters, entities resolved
  std::uint32_t first_attribute = 0, attributes = 0;  ///< among HtmlTree::attributes
};

/// A page in document order; node 0 is the root. Lives as long as its parser does and parses nothing else.
struct HtmlTree {
  struct Value {
    Attribute name;
    std::string_view value;
  };
  std::vector<Node> nodes;
  std::vector<Value> attributes;

  /// The value of a node's attribute; empty where there is none.
  std::string_view get(const Node& node, Attribute name) const {
    for (std::uint32_t i = 0; i < node.attributes; ++i)
      if (attributes[node.first_attribute + i].name == name) return attributes[node.first_attribute + i].value;
    return {};
  }
  bool has(const Node& node, Attribute name) const {
    for (std::uint32_t i = 0; i < node.attributes; ++i)
      if (attributes[node.first_attribute + i].name == name) return true;
    return false;
  }
};

/// What a page may cost before it is refused.
struct HtmlLimits {
  std::size_t bytes = std::size_t{8} << 20;     ///< of its text
  std::size_t depth = 1024;                     ///< elements that it leaves open at a time
  std::size_t memory = std::size_t{512} << 20;  ///< of its tree
};

namespace detail {

/// Memory that is given back all at once, for the next page. gumbo has no way to hear of a refusal, so a page that asks
/// for too much is left by a long jump: gumbo is C and owns nothing but this memory.
class HtmlArena {
 public:
  static void* allocate(void* self, std::size_t bytes) {
    auto& arena = *static_cast<HtmlArena*>(self);
    bytes = (bytes + 15) & ~std::size_t{15};
    if (bytes > arena.left_ && !arena.grow(bytes)) std::longjmp(arena.escape, 1);
    void* result = arena.next_;
    arena.next_ += bytes;
    arena.left_ -= bytes;
    return result;
  }
  static void release(void*, void*) {}

  void clear(std::size_t limit) {
    while (blocks_.size() > 1) blocks_.pop_back();
    limit_ = limit;
    used_ = blocks_.empty() ? 0 : blocks_[0].bytes;
    next_ = blocks_.empty() ? nullptr : blocks_[0].memory.get();
    left_ = used_;
  }

  std::jmp_buf escape{};

 private:
  struct Block {
    std::unique_ptr<char, decltype(&std::free)> memory;
    std::size_t bytes;
  };

  bool grow(std::size_t bytes) noexcept {
    const std::size_t size = std::max(bytes, block_bytes);
    if (size > limit_ || used_ > limit_ - size) return false;
    char* memory = static_cast<char*>(std::malloc(size));
    if (memory == nullptr) return false;
    blocks_.push_back({{memory, &std::free}, size});
    used_ += size;
    next_ = memory;
    left_ = size;
    return true;
  }

  static constexpr std::size_t block_bytes = std::size_t{1} << 20;
  std::vector<Block> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0, used_ = 0, limit_ = 0;
};

/// Null where the arena's limit was reached. Nothing in this frame has a destructor.
inline const GumboOutput* parse_within(HtmlArena& arena, const GumboOptions& options, std::string_view text) {
  if (setjmp(arena.escape) != 0) return nullptr;
  return gumbo_parse_with_options(&options, text.data(), text.size());
}

/// Elements that a text leaves open at a time, at most, counted from its tags alone: the parser's time grows with their
/// number times the text's. What closes by itself (p, li, td, ...) and what never opens (br, img, ...) does not count.
inline std::size_t open_elements(std::string_view text) {
  const auto letter = [&](std::size_t at) { return (text[at] | 32) >= 'a' && (text[at] | 32) <= 'z'; };
  const auto word = [&](std::size_t at) {
    std::size_t end = at;
    while (end < text.size() && end - at < 12 && letter(end)) ++end;
    return text.substr(at, end - at);
  };
  const auto counts = [](std::string_view name) {
    constexpr std::array<std::string_view, 30> not_open{
        "p",    "li",   "td",     "tr",     "th",    "dt",    "dd",    "br",   "img",      "hr",
        "meta", "link", "input",  "option", "tbody", "thead", "tfoot", "col",  "colgroup", "area",
        "base", "wbr",  "source", "param",  "embed", "html",  "body",  "head", "track",    "keygen"};
    std::array<char, 12> low{};
    for (std::size_t i = 0; i < name.size(); ++i) low[i] = static_cast<char>(name[i] | 32);
    const std::string_view lowered(low.data(), name.size());
    return std::find(not_open.begin(), not_open.end(), lowered) == not_open.end();
  };
  std::size_t most = 0, open = 0;
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string_view::npos;) {
    ++at;
    if (at >= text.size()) break;
    if (text.compare(at, 3, "!--") == 0) {
      at = text.find("-->", at);
      if (at == std::string_view::npos) break;
    } else if (text[at] == '/') {
      const std::string_view name = word(at + 1);
      if (!name.empty() && counts(name) && open > 0) --open;
    } else if (letter(at)) {
      if (counts(word(at))) most = std::max(most, ++open);
    }
  }
  return most;
}

inline Tag tag_of(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_BODY:
      return Tag::root;
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_MAIN:
      return Tag::article;
    case GUMBO_TAG_H1:
      return Tag::h1;
    case GUMBO_TAG_H2:
      return Tag::h2;
    case GUMBO_TAG_H3:
      return Tag::h3;
    case GUMBO_TAG_H4:
      return Tag::h4;
    case GUMBO_TAG_H5:
      return Tag::h5;
    case GUMBO_TAG_H6:
      return Tag::h6;
    case GUMBO_TAG_P:
      return Tag::paragraph;
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_XMP:
      return Tag::pre;
    case GUMBO_TAG_UL:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_DL:
      return Tag::list;
    case GUMBO_TAG_LI:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_DD:
      return Tag::item;
    case GUMBO_TAG_TABLE:
      return Tag::table;
    case GUMBO_TAG_TR:
      return Tag::row;
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
      return Tag::cell;
    case GUMBO_TAG_FIGURE:
      return Tag::figure;
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_CAPTION:
      return Tag::caption;
    case GUMBO_TAG_BR:
      return Tag::br;
    case GUMBO_TAG_HR:
      return Tag::rule;
    case GUMBO_TAG_A:
      return Tag::a;
    case GUMBO_TAG_IMG:
    case GUMBO_TAG_IMAGE:
      return Tag::img;
    case GUMBO_TAG_SOURCE:
      return Tag::source;
    case GUMBO_TAG_NOSCRIPT:
      return Tag::noscript;
    case GUMBO_TAG_HEADER:
      return Tag::header;
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_MENU:
      return Tag::navigation;
    case GUMBO_TAG_ASIDE:
      return Tag::aside;
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_OPTION:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_FRAMESET:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_EMBED:
    case GUMBO_TAG_APPLET:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_DATALIST:
      return Tag::control;
    case GUMBO_TAG_TITLE:
      return Tag::title;
    case GUMBO_TAG_META:
      return Tag::meta;
    case GUMBO_TAG_BASE:
      return Tag::base;
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_HEAD:
    case GUMBO_TAG_HGROUP:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_THEAD:
      return Tag::block;
    default:
      return Tag::other;
  }
}

/// Elements that hold nothing to read.
inline bool is_silent(const GumboNode& node) {
  if (node.type == GUMBO_NODE_COMMENT || node.type == GUMBO_NODE_TEMPLATE) return true;
  if (node.type != GUMBO_NODE_ELEMENT) return false;
  const GumboElement& element = node.v.element;
  return element.tag == GUMBO_TAG_SCRIPT || element.tag == GUMBO_TAG_STYLE ||
         element.tag_namespace == GUMBO_NAMESPACE_SVG;
}

inline bool attribute_of(std::string_view written, Attribute& found) {
  struct Known {
    std::string_view name;
    Attribute attribute;
  };
  using enum Attribute;
  constexpr std::array known{Known{"class", cls},
                             Known{"id", id},
                             Known{"href", href},
                             Known{"src", src},
                             Known{"alt", alt},
                             Known{"style", style},
                             Known{"title", title},
                             Known{"width", width},
                             Known{"height", height},
                             Known{"name", name},
                             Known{"content", content},
                             Known{"role", role},
                             Known{"srcset", srcset},
                             Known{"data-src", data_src},
                             Known{"data-original", data_original},
                             Known{"data-lazy-src", data_src},
                             Known{"data-srcset", data_srcset},
                             Known{"data-lazy-srcset", data_srcset},
                             Known{"hidden", hidden},
                             Known{"aria-hidden", aria_hidden},
                             Known{"itemprop", itemprop},
                             Known{"lang", lang},
                             Known{"xml:lang", lang},
                             Known{"media", media},
                             Known{"property", property},
                             Known{"rel", rel},
                             Known{"type", type}};
  for (const Known& k : known)
    if (k.name == written) {
      found = k.attribute;
      return true;
    }
  return false;
}

}  // namespace detail

/// Parses one page after another in memory that it keeps.
class HtmlParser {
 public:
  explicit HtmlParser(const HtmlLimits& limits = {}) : limits_(limits) {}
  HtmlParser(const HtmlParser&) = delete;
  HtmlParser& operator=(const HtmlParser&) = delete;

  /// The tree of a text in UTF-8, which must live as long as the tree is used; the next parse() ends it. `source` names
  /// the page in errors. Throws Error for a page beyond the limits.
  const HtmlTree& parse(std::string_view text, std::string_view source = "page") {
    check(text.size() <= limits_.bytes, "html", source, ": the page has ", text.size(), " bytes, at most ",
          limits_.bytes, " are read");
    const std::size_t open = detail::open_elements(text);
    check(open <= limits_.depth, "html", source, ": the page leaves ", open, " elements open at a time, at most ",
          limits_.depth, " are read");
    tree_.nodes.clear();
    tree_.attributes.clear();
    arena_.clear(limits_.memory);
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = &detail::HtmlArena::allocate;
    options.deallocator = &detail::HtmlArena::release;
    options.userdata = &arena_;
    options.max_errors = 0;
    const GumboOutput* output = detail::parse_within(arena_, options, text);
    check(output != nullptr, "html", source, ": the tree of the page takes more than ", limits_.memory, " bytes");
    copy(*output->root);
    return tree_;
  }

 private:
  /// Walks gumbo's tree without recursion: its depth is the page's.
  void copy(const GumboNode& root) {
    const GumboNode* node = &root;
    std::uint32_t parent = 0;
    for (bool down = true;;) {
      const bool element = node->type == GUMBO_NODE_ELEMENT;
      if (down && !detail::is_silent(*node)) {
        const auto own = static_cast<std::uint32_t>(tree_.nodes.size());
        add(*node, parent);
        if (element && node->v.element.children.length > 0) {
          parent = own;
          node = static_cast<const GumboNode*>(node->v.element.children.data[0]);
          continue;
        }
        tree_.nodes[own].end = own + 1;
      }
      if (node == &root) return;
      const GumboVector& siblings = node->parent->v.element.children;
      if (node->index_within_parent + 1 < siblings.length) {
        node = static_cast<const GumboNode*>(siblings.data[node->index_within_parent + 1]);
        down = true;
      } else {
        node = node->parent;
        tree_.nodes[parent].end = static_cast<std::uint32_t>(tree_.nodes.size());
        parent = tree_.nodes[parent].parent;
        down = false;
        if (node == &root) return;
      }
    }
  }

  void add(const GumboNode& from, std::uint32_t parent) {
    Node node{.parent = parent, .first_attribute = static_cast<std::uint32_t>(tree_.attributes.size())};
    if (from.type != GUMBO_NODE_ELEMENT) {
      node.tag = Tag::text;
      node.text = from.v.text.text;
      tree_.nodes.push_back(node);
      return;
    }
    const GumboElement& element = from.v.element;
    node.tag = detail::tag_of(element.tag);
    // gumbo 0.10 has no name for <picture>.
    if (element.tag == GUMBO_TAG_UNKNOWN && element.original_tag.length >= 8) {
      std::array<char, 7> name{};
      for (std::size_t i = 0; i < 7; ++i) name[i] = static_cast<char>(element.original_tag.data[i + 1] | 32);
      if (std::string_view(name.data(), 7) == "picture") node.tag = Tag::picture;
    }
    for (unsigned i = 0; i < element.attributes.length; ++i) {
      const auto& attribute = *static_cast<const GumboAttribute*>(element.attributes.data[i]);
      HtmlTree::Value value{};
      if (!detail::attribute_of(attribute.name, value.name)) continue;
      value.value = attribute.value;
      tree_.attributes.push_back(value);
      ++node.attributes;
    }
    tree_.nodes.push_back(node);
  }

  HtmlLimits limits_;
  detail::HtmlArena arena_;
  HtmlTree tree_;
};

}  // namespace flamingo::web
