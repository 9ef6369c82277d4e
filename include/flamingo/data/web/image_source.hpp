/// Which address of a picture on a page to take: <img> and <picture>, srcset, and the attributes where scripts find
/// what they load late.
#pragma once
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <flamingo/data/web/html.hpp>
#include <flamingo/data/web/url.hpp>

namespace flamingo::web {

/// The choice among the candidates of a srcset: the largest one that is at most this wide. A candidate by density (2x)
/// counts as that many times `density_width`.
struct ImageSourceOptions {
  double most_width = 1280, density_width = 640;
};

/// The best candidate of a srcset ("a.png 480w, b.png 1.5x"): the widest within the limit, else the narrowest. Empty
/// where there is none.
inline std::string_view best_of_srcset(std::string_view srcset, const ImageSourceOptions& options = {}) {
  constexpr std::string_view space = " \t\r\n\f";
  std::string_view best;
  double best_width = 0;
  for (std::size_t at = 0; (at = srcset.find_first_not_of(" \t\r\n\f,", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(srcset.find_first_of(space, at), srcset.size());
    std::string_view url = srcset.substr(at, end - at);
    std::size_t next = end;
    double width = options.density_width;
    if (url.ends_with(',')) {  // no descriptor
      while (url.ends_with(',')) url.remove_suffix(1);
    } else {
      next = std::min(srcset.find(',', end), srcset.size());
      std::string_view descriptor = srcset.substr(end, next - end);
      descriptor.remove_prefix(std::min(descriptor.find_first_not_of(space), descriptor.size()));
      double number = 0;
      const auto read = std::from_chars(descriptor.data(), descriptor.data() + descriptor.size(), number);
      if (read.ec == std::errc{} && read.ptr != descriptor.data() + descriptor.size() && number > 0)
        width = *read.ptr == 'w' ? number : *read.ptr == 'x' ? number * options.density_width : width;
    }
    const bool fits = width <= options.most_width, best_fits = best_width <= options.most_width;
    if (!url.empty() && (best.empty() || (fits != best_fits ? fits : fits ? width > best_width : width < best_width))) {
      best = url;
      best_width = width;
    }
    at = next;
  }
  return best;
}

namespace detail {

/// Whether a decoder of ours reads a <source> of this type; an absent type may be anything.
inline bool readable_type(std::string_view type) {
  return type.empty() || type == "image/jpeg" || type == "image/png" || type == "image/gif" || type == "image/bmp";
}

/// What stands in an img's src until a script has run: nothing, or a picture of a few bytes in the address itself.
inline bool is_placeholder(std::string_view src) {
  return src.empty() || (src.starts_with("data:") && src.size() < 512);
}

}  // namespace detail

/// The address of img `i`, as the page writes it: what is loaded late, the srcsets of its <picture> and its own, src.
/// Empty where it has none.
inline std::string_view image_source(const HtmlTree& tree, std::uint32_t i, const ImageSourceOptions& options = {}) {
  const Node& image = tree.nodes[i];
  const auto own = [&](Attribute name) { return tree.get(image, name); };
  if (const auto best = best_of_srcset(own(Attribute::data_srcset), options); !best.empty()) return best;
  for (const Attribute name : {Attribute::data_src, Attribute::data_original})
    if (const auto url = own(name); !url.empty()) return url;
  if (const auto best = best_of_srcset(own(Attribute::srcset), options); !best.empty()) return best;
  const std::string_view src = own(Attribute::src);
  if (!detail::is_placeholder(src)) return src;
  // A <source> says what may be better than src, often in formats that we do not read; only without src is it needed.
  for (std::uint32_t p = image.parent; tree.nodes[p].tag == Tag::picture; p = tree.nodes[p].parent)
    for (std::uint32_t s = p + 1; s < tree.nodes[p].end; ++s) {
      const Node& source = tree.nodes[s];
      if (source.tag != Tag::source || !detail::readable_type(tree.get(source, Attribute::type))) continue;
      for (const Attribute name : {Attribute::data_srcset, Attribute::srcset})
        if (const auto best = best_of_srcset(tree.get(source, name), options); !best.empty()) return best;
    }
  return src;
}

}  // namespace flamingo::web
