/// What was made last, up to so many bytes.
#pragma once
#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace evaluation {

/// Of features that a program keeps.
inline constexpr std::size_t kept_bytes = std::size_t{1} << 30;

/// Values by name. The longest unused go where a new one would exceed the bytes; the newest stays whatever its size.
template <class T>
class Recent {
 public:
  explicit Recent(std::size_t most_bytes) : most_(most_bytes) {}

  /// The value, or null. It is good until the next put().
  const T* find(const std::string& name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->value;
  }
  /// Keeps a value under a name that has none.
  const T& put(const std::string& name, T value, std::size_t bytes) {
    entries_.push_front({name, std::move(value), bytes});
    places_[name] = entries_.begin();
    held_ += bytes;
    while (held_ > most_ && entries_.size() > 1) {
      held_ -= entries_.back().bytes;
      places_.erase(entries_.back().name);
      entries_.pop_back();
    }
    return entries_.front().value;
  }
  std::size_t bytes() const { return held_; }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string name;
    T value;
    std::size_t bytes;
  };
  std::size_t most_, held_ = 0;
  std::list<Entry> entries_;  ///< the last used first
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

}  // namespace evaluation
