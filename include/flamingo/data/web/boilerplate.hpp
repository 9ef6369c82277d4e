/// What a page has around its matter, told by its elements alone: navigation, forms, advertisements, what is hidden.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <flamingo/data/web/html.hpp>

namespace flamingo::web {

namespace detail {

/// Words of class and id that say "not the matter". Whole words: navigation and nav-bar have the words `navigation`,
/// `nav` and `bar`.
constexpr std::array<std::string_view, 67> boilerplate_words{
    "ad",          "ads",       "advert",        "advertisement", "banner",     "breadcrumb",
    "breadcrumbs", "byline",    "comment",       "comments",      "cookie",     "cookies",
    "copyright",   "crumbs",    "disqus",        "docnav",        "dropdown",   "edit",
    "editsection", "flag",      "footer",        "hatnote",       "headerlink", "leftbar",
    "login",       "masthead",  "menu",          "menubar",       "modal",      "nav",
    "navbar",      "navbox",    "navfooter",     "navheader",     "navigation", "navpath",
    "newsletter",  "pager",     "pagination",    "paginator",     "permalink",  "popup",
    "promo",       "quickview", "recommended",   "related",       "rightbar",   "rss",
    "search",      "searchbox", "share",         "sharing",       "signup",     "skip",
    "skiplink",    "social",    "sphinxsidebar", "sponsor",       "sponsored",  "subscribe",
    "tablist",     "taglist",   "toc",           "toolbar",       "topbar",     "tocwrapper",
    "widget"};

/// Calls f for each word of a class or id, until it says true.
template <class F>
bool any_word(std::string_view names, const F& f) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  for (std::size_t at = 0; at < names.size();) {
    if (!letter(names[at])) {
      ++at;
      continue;
    }
    std::array<char, 16> word{};
    std::size_t length = 0;
    for (; at < names.size() && letter(names[at]); ++at, ++length)
      if (length < word.size())
        word[length] = static_cast<char>(names[at] | (names[at] < 'a' && names[at] > '9' ? 32 : 0));
    if (length <= word.size() && f(std::string_view(word.data(), length))) return true;
  }
  return false;
}

inline bool names_boilerplate(std::string_view names) {
  return any_word(names, [](std::string_view word) {
    return std::find(boilerplate_words.begin(), boilerplate_words.end(), word) != boilerplate_words.end();
  });
}

/// What most sites call the column beside the matter, and manuals a box within it.
inline bool names_sidebar(std::string_view names) {
  return any_word(names, [](std::string_view word) { return word == "sidebar"; });
}

inline bool is_hidden(const HtmlTree& tree, const Node& node) {
  if (node.attributes == 0) return false;
  if (tree.has(node, Attribute::hidden) || tree.get(node, Attribute::aria_hidden) == "true") return true;
  const std::string_view style = tree.get(node, Attribute::style);
  for (std::size_t at = 0; (at = style.find(':', at)) != std::string_view::npos; ++at) {
    const std::string_view value = style.substr(std::min(style.find_first_not_of(' ', at + 1), style.size()));
    const std::string_view property = style.substr(0, at);
    if ((property.ends_with("display") && value.starts_with("none")) ||
        (property.ends_with("visibility") && value.starts_with("hidden")))
      return true;
  }
  return false;
}

inline bool has_navigating_role(std::string_view role) {
  constexpr std::array<std::string_view, 11> roles{"navigation", "banner",  "contentinfo", "complementary",
                                                   "search",     "menu",    "menubar",     "dialog",
                                                   "alert",      "tablist", "toolbar"};
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace detail

/// Whether an element's own tag, role or style says that it is not the matter of the page.
inline bool is_boilerplate(const HtmlTree& tree, const Node& node) {
  switch (node.tag) {
    case Tag::navigation:
    case Tag::control:
    case Tag::title:
    case Tag::meta:
    case Tag::base:
    case Tag::source:
      return true;
    default:
      return detail::has_navigating_role(tree.get(node, Attribute::role)) || detail::is_hidden(tree, node);
  }
}

/// Whether its class or id says so: a guess, which who asks should doubt where much of the page lies inside.
inline bool is_named_boilerplate(const HtmlTree& tree, const Node& node) {
  return node.attributes > 0 && (detail::names_boilerplate(tree.get(node, Attribute::cls)) ||
                                 detail::names_boilerplate(tree.get(node, Attribute::id)));
}

/// Whether it is called a sidebar.
inline bool is_named_sidebar(const HtmlTree& tree, const Node& node) {
  return node.attributes > 0 && (detail::names_sidebar(tree.get(node, Attribute::cls)) ||
                                 detail::names_sidebar(tree.get(node, Attribute::id)));
}

}  // namespace flamingo::web
