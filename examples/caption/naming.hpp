/// Naming pictures from a closed list, by summed log-likelihood.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "collection.hpp"
#include "session.hpp"

namespace caption {

/// A picture of the collection, as the captioner sees it.
inline Seen seen(const std::vector<Picture>& pictures, const Features& features, std::size_t i) {
  Seen s{pictures[i].path, {}};
  for (const flamingo::half x : features.of(i)) s.features.push_back(static_cast<float>(x));
  return s;
}

/// The captions of pictures, each once, in order.
inline std::vector<std::string> names_of(const std::vector<Picture>& pictures, std::span<const std::size_t> members) {
  std::vector<std::string> names;
  for (const std::size_t i : members) names.push_back(pictures[i].caption);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// How many names are likelier than the right one after the prompt, by summed log-likelihood, the name's end included.
inline std::ptrdiff_t rank_of(Captioner& captioner, flamingo::TextState& prompt, const std::vector<std::string>& names,
                              const std::string& right) {
  const auto scores = captioner.rank(prompt, names);
  const double mine =
      scores[static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), right) - names.begin())].sum;
  return std::count_if(scores.begin(), scores.end(), [mine](const flamingo::Score& s) { return s.sum > mine; });
}

}  // namespace caption
