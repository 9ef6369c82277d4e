/// Names of what is being written.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "writer.hpp"

namespace studio {

/// The runs that are being written, by names that nobody can guess: who knows one may cancel the run and see where it
/// looked.
class Names {
 public:
  /// A name as long as its run is written.
  class Name {
   public:
    Name(std::shared_ptr<Names> names, Writer::Id id) : names_(std::move(names)) {
      constexpr std::string_view digits = "0123456789abcdef";
      std::random_device random;
      for (int i = 0; i < 32; ++i) text_ += digits[random() % 16];
      const std::lock_guard lock(names_->mutex_);
      names_->all_.emplace(text_, id);
    }
    Name(const Name&) = delete;
    ~Name() {
      const std::lock_guard lock(names_->mutex_);
      names_->all_.erase(text_);
    }
    const std::string& text() const { return text_; }

   private:
    std::shared_ptr<Names> names_;
    std::string text_;
  };
  std::optional<Writer::Id> find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = all_.find(name);
    return found == all_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Writer::Id> all_;
};

}  // namespace studio
