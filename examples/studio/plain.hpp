/// A chat for a model that knows no turns: one document, the turns one after another.
#pragma once
#include <string>
#include <string_view>

#include "writer.hpp"

#include <flamingo/data/document.hpp>

namespace studio {

/// Texts stand as they are, but for what separates them: a space after a picture, a line's end between two turns'
/// texts. Pictures are named by their places in the request.
inline flamingo::Document document_of(const Chat& chat) {
  flamingo::Document document;
  enum class Last { nothing, picture, text } last = Last::nothing;
  for (const Turn& turn : chat) {
    bool first = true;
    for (const Part& part : turn.parts) {
      if (part.picture) {
        document.image(part.place);
      } else if (!part.content.empty()) {
        const bool spaced = std::string_view(" \n\t").find(part.content.front()) != std::string_view::npos;
        std::string_view between;
        if (last == Last::picture && !spaced) between = " ";
        if (last == Last::text && first) between = "\n";
        document.text(std::string(between) + part.content);
      } else {
        continue;
      }
      last = part.picture ? Last::picture : Last::text;
      first = false;
    }
  }
  return document;
}

}  // namespace studio
