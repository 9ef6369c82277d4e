/// Files of torch.save (PyTorch 1.6 and later) that hold a state dict, and modules of TorchScript: a zip with a pickle
/// and the storages.
#pragma once
#include <cstddef>
#include <deque>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/stored_zip.hpp>
#include <flamingo/io/tensor_file.hpp>
#include <flamingo/io/torch_pickle.hpp>

namespace flamingo::io {

/// The tensors of a state dict, or of a TorchScript module and its parts, mapped. A training checkpoint's dict is found
/// under `model_state_dict` or `state_dict`, and a leading `module.` is left out of its names; values that are no
/// tensors are passed over. Views hold while this object, or the one it was moved to, lives.
class TorchFile {
 public:
  /// Throws Error with the path, the byte of the pickle and what is wrong.
  explicit TorchFile(const std::filesystem::path& path) : zip_(path) {
    std::unordered_map<std::string_view, const StoredZip::Member*> members;
    std::string_view root;
    int pickles = 0;
    for (const StoredZip::Member& member : zip_.members()) {
      const std::string_view name = member.name;
      members.emplace(name, &member);
      if (const std::size_t slash = name.find('/'); slash != name.npos && name.substr(slash) == "/data.pkl") {
        root = name.substr(0, slash + 1);
        ++pickles;
      }
    }
    check(pickles == 1, "torch_file", path.string(), ": it has ", pickles, " members 'NAME/data.pkl', expected one");
    const auto find = [&](std::string_view name) -> std::optional<std::span<const std::byte>> {
      const auto found = members.find(std::string(root).append(name));
      if (found == members.end()) return std::nullopt;
      check(found->second->stored, "torch_file", path.string(), ": '", found->first,
            "' is compressed, expected it stored as PyTorch does");
      return found->second->bytes;
    };
    const auto text = [&](std::string_view name) -> std::string_view {
      const auto bytes = find(name);
      return bytes ? std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : std::string_view{};
    };
    check(text("byteorder").empty() || text("byteorder") == "little", "torch_file", path.string(),
          ": its byte order is '", text("byteorder").substr(0, 20), "', expected little");
    detail::PickleMachine machine(text("data.pkl"), path.string(), 2 * zip_.size(),
                                  [&](std::string_view key) { return find("data/" + std::string(key)); });
    read_state(machine.root());
    copies_ = machine.take_copies();
  }

  /// All tensors, in the order of the state dict.
  std::span<const TensorView> tensors() const { return list_.all(); }
  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const { return list_.find(name); }
  /// The tensor of that name. Without one, an error that tells close names.
  const TensorView& at(std::string_view name) const { return list_.at(name, "torch_file", path()); }
  const std::filesystem::path& path() const { return zip_.path(); }

 private:
  using Node = detail::PickleNode;

  static const Node* member(const Node& dict, std::string_view name) {
    for (const auto& [key, value] : dict.as<Node::Dict>()->items)
      if (const auto* text = key->as<std::string_view>(); text && *text == name && value->as<Node::Dict>())
        return value;
    return nullptr;
  }

  void read_state(const Node& root) {
    check(root.as<Node::Dict>() != nullptr, "torch_file", path().string(), ": the pickle holds ", root.type_name(),
          ", expected a dict of tensors");
    const Node* state = member(root, "model_state_dict");
    if (state == nullptr) state = member(root, "state_dict");
    if (state == nullptr) state = &root;
    add_tensors(*state->as<Node::Dict>(), "", 0);
  }

  void add_tensors(const Node::Dict& state, const std::string& prefix, int depth) {
    // Modules of a hostile file may share or contain each other.
    visited_ += state.items.size();
    check(depth < 64 && visited_ < (std::size_t{1} << 18) && prefix.size() < 1000, "torch_file", path().string(),
          ": its modules nest without end");
    for (const auto& [key, value] : state.items) {
      const auto* name = key->as<std::string_view>();
      if (name == nullptr) continue;
      if (const auto* module = value->as<Node::Dict>(); module != nullptr && module->module)
        add_tensors(*module, prefix + std::string(*name) + ".", depth + 1);
      const TensorView* tensor = value->as<TensorView>();
      if (tensor == nullptr) continue;
      TensorView named = *tensor;
      named.name = prefix + std::string(name->starts_with("module.") ? name->substr(7) : *name);
      check(list_.add(std::move(named)), "torch_file", path().string(), ": tensor '", prefix, *name, "' occurs twice");
    }
  }

  StoredZip zip_;
  std::deque<std::vector<std::byte>> copies_;
  TensorList list_;
  std::size_t visited_ = 0;
};

}  // namespace flamingo::io
