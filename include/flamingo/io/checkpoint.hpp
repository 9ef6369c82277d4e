/// Published checkpoints: a file, a sharded set or several of them, opened as one list of named tensors.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/io/tensor_file.hpp>
#include <flamingo/io/torch_file.hpp>

namespace flamingo::io {

/// A tensor's name in a source -> its name in the checkpoint; an empty one leaves the tensor out.
using Rename = std::function<std::string(std::string_view)>;

/// Tensors of one or more sources, all mapped. A source is
/// - a .safetensors file, or a file of torch.save (.pt, .pth, .bin, .ckpt: see TorchFile);
/// - an index of shards (*.index.json: `weight_map` tells the file of each tensor);
/// - a folder, in which the first of these is taken: model.safetensors, model.safetensors.index.json,
///   pytorch_model.bin, pytorch_model.bin.index.json, and else the only file of these kinds.
/// Names of several sources are joined; where one is repeated, the source that was added first counts. Views hold while
/// this object, a copy or the one it was moved to, lives.
class Checkpoint {
 public:
  Checkpoint() = default;
  /// Throws Error with the path and what is wrong: a shard or a tensor that is missing, a tensor in two shards, a name
  /// of a shard that is no plain file name, and what the files' readers refuse. An index's `total_size` is not looked
  /// at: writers disagree on what counts.
  explicit Checkpoint(const std::filesystem::path& path) { add(path); }

  /// Joins a source; `prefix` is put before its names.
  Checkpoint& add(const std::filesystem::path& path, std::string_view prefix = "") {
    return add(path, [prefix = std::string(prefix)](std::string_view name) { return prefix + std::string(name); });
  }
  Checkpoint& add(const std::filesystem::path& path, const Rename& rename) {
    const std::filesystem::path source = std::filesystem::is_directory(path) ? source_of(path) : path;
    if (path_.empty()) path_ = path;
    std::vector<TensorView> tensors;
    if (source.extension() == ".json")
      tensors = shards(source);
    else
      open(source, tensors);
    for (TensorView& tensor : tensors) {
      tensor.name = rename(tensor.name);
      if (!tensor.name.empty() && !list_.add(std::move(tensor))) ++shadowed_;
    }
    return *this;
  }

  /// All tensors, in the order of the sources and their files.
  std::span<const TensorView> tensors() const { return list_.all(); }
  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const { return list_.find(name); }
  /// The tensor of that name. Without one, an error that tells close names.
  const TensorView& at(std::string_view name) const { return list_.at(name, "checkpoint", path_); }
  /// What was opened first.
  const std::filesystem::path& path() const { return path_; }
  /// Tensors that an earlier source had already.
  std::size_t shadowed() const { return shadowed_; }

 private:
  static bool is_torch(const std::filesystem::path& path) {
    const std::string end = path.extension().string();
    return end == ".pt" || end == ".pth" || end == ".bin" || end == ".ckpt";
  }
  static bool is_index(const std::filesystem::path& path) {
    return path.string().ends_with(".safetensors.index.json") || path.string().ends_with(".bin.index.json");
  }

  /// What is opened of a folder.
  static std::filesystem::path source_of(const std::filesystem::path& folder) {
    for (const std::string_view name :
         {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"})
      if (std::filesystem::exists(folder / name)) return folder / name;
    std::vector<std::filesystem::path> indices, files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (is_index(entry.path())) indices.push_back(entry.path());
      if (entry.path().extension() == ".safetensors" || is_torch(entry.path())) files.push_back(entry.path());
    }
    std::vector<std::filesystem::path>& found = indices.empty() ? files : indices;
    std::sort(found.begin(), found.end());
    std::string names;
    for (const auto& path : found) names += (names.empty() ? "" : ", ") + path.filename().string();
    check(found.size() == 1, "checkpoint", folder.string(), ": the folder has ", found.size(),
          indices.empty() ? " files" : " indices", " of tensors", names.empty() ? "" : " (", names,
          names.empty() ? "" : ")", ", expected one, or one named model.safetensors or pytorch_model.bin");
    return found.front();
  }

  /// Opens a file, keeps it and appends its tensors.
  void open(const std::filesystem::path& path, std::vector<TensorView>& tensors) {
    const auto keep = [&](auto opened) {
      tensors.insert(tensors.end(), opened->tensors().begin(), opened->tensors().end());
      owners_.push_back(std::move(opened));
    };
    if (is_torch(path))
      keep(std::make_shared<const TorchFile>(path));
    else
      keep(std::make_shared<const Safetensors>(path));
  }

  std::vector<TensorView> shards(const std::filesystem::path& index) {
    const MappedFile text(index);
    const Json json = Json::parse(text.text(), index.string());
    check(json.is_object(), "checkpoint", index.string(), ": got ", json.type_name(), ", expected an object");
    const Json* map = json.find("weight_map");
    check(map != nullptr && map->is_object(), "checkpoint", index.string(), ": it has no object 'weight_map'");
    std::map<std::string, std::vector<std::string_view>> names;
    std::unordered_set<std::string_view> named;
    for (const JsonMember& member : map->as_object()) {
      check(member.value.is_string(), "checkpoint", index.string(), ": tensor '", member.name, "' has ",
            member.value.type_name(), " for a file, expected a string");
      const std::string& shard = member.value.as_string();
      check(!shard.empty() && shard != "." && shard != ".." &&
                shard.find_first_of(std::string_view("/\\\0", 3)) == shard.npos,
            "checkpoint", index.string(), ": tensor '", member.name, "' lies in '", shard,
            "', expected the plain name of a file beside the index");
      names[shard].push_back(member.name);
      named.insert(member.name);
    }
    std::vector<TensorView> all;
    std::unordered_map<std::string, const std::string*> shard_of;
    for (const auto& [shard, expected] : names) {
      const std::filesystem::path path = index.parent_path() / shard;
      check(std::filesystem::exists(path), "checkpoint", index.string(), ": the shard '", shard, "' is missing, with ",
            expected.size(), " tensors, first '", expected.front(), "'");
      const std::size_t before = all.size();
      open(path, all);
      for (std::size_t i = before; i < all.size(); ++i) {
        const TensorView& tensor = all[i];
        const auto [first, added] = shard_of.emplace(tensor.name, &shard);
        check(added, "checkpoint", index.string(), ": tensor '", tensor.name, "' lies in two shards, '", *first->second,
              "' and '", shard, "'");
        check(named.contains(tensor.name), "checkpoint", index.string(), ": the shard '", shard, "' has a tensor '",
              tensor.name, "' that the index does not name");
      }
      for (const std::string_view name : expected) {
        const auto found = shard_of.find(std::string(name));
        check(found != shard_of.end() && *found->second == shard, "checkpoint", index.string(), ": the shard '", shard,
              "' has no tensor '", name, "'");
      }
    }
    return all;
  }

  std::filesystem::path path_;
  TensorList list_;
  std::vector<std::shared_ptr<const void>> owners_;
  std::size_t shadowed_ = 0;
};

/// An OpenFlamingo checkpoint: a folder with
/// - `checkpoint.pt` (or .safetensors): what open_flamingo trained and saved;
/// - `lm/`: the folder of its language model, as Hugging Face has it;
/// - `vision.safetensors` or `vision.pt`: its CLIP, as open_clip has it, whole or the vision tower alone.
/// The names are those of open_flamingo's whole model, `lang_encoder...decoder_layer...` and `vision_encoder...`, so
/// one table reads this folder and a full state dict. What open_flamingo saved counts before what the other two have:
/// its embedding has the rows of the added tokens. Either of the other two may be missing where the first has all.
inline Checkpoint open_flamingo_checkpoint(const std::filesystem::path& folder) {
  Checkpoint all;
  const bool torch = std::filesystem::exists(folder / "checkpoint.pt");
  // The decoder's own lists of its blocks repeat them under other names.
  all.add(folder / (torch ? "checkpoint.pt" : "checkpoint.safetensors"), [](std::string_view name) -> std::string {
    for (const std::string_view repeated :
         {"lang_encoder.old_decoder_blocks.", "lang_encoder.gated_cross_attn_layers."})
      if (name.starts_with(repeated)) return {};
    return std::string(name);
  });
  if (std::filesystem::exists(folder / "lm"))
    all.add(folder / "lm", [](std::string_view name) {
      // transformer.blocks.3.norm_1 -> lang_encoder.transformer.blocks.3.decoder_layer.norm_1
      for (const std::string_view blocks : {"transformer.blocks.", "gpt_neox.layers.", "model.layers."}) {
        if (!name.starts_with(blocks)) continue;
        const std::size_t dot = std::min(name.find('.', blocks.size()), name.size());
        return "lang_encoder." + std::string(name.substr(0, dot)) + ".decoder_layer" + std::string(name.substr(dot));
      }
      return "lang_encoder." + std::string(name);
    });
  for (const std::string_view name : {"vision.safetensors", "vision.pt"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    const Checkpoint vision(folder / name);
    const bool whole = std::any_of(vision.tensors().begin(), vision.tensors().end(),
                                   [](const TensorView& tensor) { return tensor.name.starts_with("visual."); });
    all.add(folder / name, [whole](std::string_view tensor) -> std::string {
      if (!whole) return "vision_encoder." + std::string(tensor);
      return tensor.starts_with("visual.") ? "vision_encoder." + std::string(tensor.substr(7)) : std::string{};
    });
    break;
  }
  return all;
}

/// Whether a folder is laid out so.
inline bool is_open_flamingo(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "checkpoint.pt") ||
         std::filesystem::exists(folder / "checkpoint.safetensors");
}

/// A checkpoint of either kind.
inline Checkpoint open_checkpoint(const std::filesystem::path& path) {
  if (is_open_flamingo(path)) return open_flamingo_checkpoint(path);
  return Checkpoint(path);
}

}  // namespace flamingo::io
