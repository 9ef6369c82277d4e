/// safetensors files: eight bytes of header length, a JSON header, then the tensors without a gap. Read mapped, written
/// atomically, in one file or in shards.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/tensor_file.hpp>

namespace flamingo::io {

/// The `__metadata__` of a file: names and texts, in the order of the file.
using Metadata = std::vector<std::pair<std::string, std::string>>;

namespace detail {

constexpr std::array<std::pair<std::string_view, DType>, 10> safetensors_types{{{"F32", DType::f32},
                                                                                {"F16", DType::f16},
                                                                                {"BF16", DType::bf16},
                                                                                {"F64", DType::f64},
                                                                                {"I8", DType::i8},
                                                                                {"U8", DType::u8},
                                                                                {"I16", DType::i16},
                                                                                {"I32", DType::i32},
                                                                                {"I64", DType::i64},
                                                                                {"BOOL", DType::boolean}}};

/// The format's own bound on the header.
constexpr std::uint64_t safetensors_header_limit = 100'000'000;

}  // namespace detail

/// A mapped file. Opening it checks everything the header says: known types, sizes that agree with shapes, offsets
/// inside the file, no overlap and no gap. The views hold while this object, or the one it was moved to, lives.
class Safetensors {
 public:
  /// Throws Error with the path, the tensor and what is wrong.
  explicit Safetensors(const std::filesystem::path& path) : file_(path) {
    const std::span<const std::byte> header = header_bytes();
    const std::span<const std::byte> data = file_.data().subspan(8 + header.size());
    const std::string_view text = file_.text().substr(8, header.size());
    check(!text.empty() && text.front() == '{', "safetensors", place(), "the header does not begin with '{'");
    const Json json = Json::parse(text, path.string() + " (header, from byte 8)");
    std::vector<std::array<std::size_t, 2>> used;
    for (const JsonMember& member : json.as_object()) {
      if (member.name == "__metadata__")
        read_metadata(member.value);
      else
        read_tensor(member, data, used);
    }
    check_no_gap(used, data.size());
  }

  /// All tensors, in the order of the header.
  std::span<const TensorView> tensors() const { return list_.all(); }
  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const { return list_.find(name); }
  /// The tensor of that name. Without one, an error that tells close names.
  const TensorView& at(std::string_view name) const { return list_.at(name, "safetensors", path()); }
  const Metadata& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  std::string place() const { return file_.path().string() + ": "; }

  std::span<const std::byte> header_bytes() const {
    const std::span<const std::byte> all = file_.data();
    check(all.size() >= 8, "safetensors", place(), "the file has ", all.size(),
          " bytes, expected at least the 8 of the header length");
    const auto length = detail::load<std::uint64_t>(all.data());
    check(length <= detail::safetensors_header_limit, "safetensors", place(), "the header length is ", length,
          ", at most ", detail::safetensors_header_limit, " is allowed (is this a safetensors file?)");
    check(length <= all.size() - 8, "safetensors", place(), "the header length is ", length, " but only ",
          all.size() - 8, " bytes follow: the file is truncated");
    return all.subspan(8, static_cast<std::size_t>(length));
  }

  void read_metadata(const Json& json) {
    check(json.is_object(), "safetensors", place(), "__metadata__ is ", json.type_name(), ", expected an object");
    for (const JsonMember& entry : json.as_object()) {
      check(entry.value.is_string(), "safetensors", place(), "__metadata__ '", entry.name, "' is ",
            entry.value.type_name(), ", expected a string");
      metadata_.emplace_back(entry.name, entry.value.as_string());
    }
  }

  void read_tensor(const JsonMember& member, std::span<const std::byte> data,
                   std::vector<std::array<std::size_t, 2>>& used) {
    const auto where = [&] { return place() + "tensor '" + member.name + "': "; };
    const auto field = [&](std::string_view name) -> const Json& {
      check(member.value.is_object(), "safetensors", where(), "got ", member.value.type_name(), ", expected an object");
      const Json* found = member.value.find(name);
      check(found != nullptr, "safetensors", where(), "'", name, "' is missing");
      return *found;
    };
    const auto integers = [&](std::string_view name) {
      const Json& json = field(name);
      check(json.is_array(), "safetensors", where(), "'", name, "' is ", json.type_name(), ", expected an array");
      std::vector<std::int64_t> values;
      for (const Json& value : json.as_array()) {
        check(value.is_integer() && value.as_integer() >= 0, "safetensors", where(), "'", name, "' has an entry ",
              value.dump().substr(0, 40), ", expected integers of at least 0");
        values.push_back(value.as_integer());
      }
      return values;
    };
    const Json& type = field("dtype");
    check(member.value.as_object().size() == 3, "safetensors", where(), "it has ", member.value.as_object().size(),
          " members, expected exactly dtype, shape and data_offsets");
    check(type.is_string(), "safetensors", where(), "'dtype' is ", type.type_name(), ", expected a string");
    const auto known = std::find_if(detail::safetensors_types.begin(), detail::safetensors_types.end(),
                                    [&](const auto& entry) { return entry.first == type.as_string(); });
    check(known != detail::safetensors_types.end(), "safetensors", where(), "its dtype is '", type.as_string(),
          "', expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
    TensorView tensor{.name = member.name, .dtype = known->second, .shape = integers("shape"), .bytes = {}};
    const std::vector<std::int64_t> offsets = integers("data_offsets");
    check(offsets.size() == 2, "safetensors", where(), "it has ", offsets.size(), " data_offsets, expected 2");
    const auto begin = static_cast<std::uint64_t>(offsets[0]), end = static_cast<std::uint64_t>(offsets[1]);
    check(begin <= end && end <= data.size(), "safetensors", where(), "its data_offsets are [", begin, ", ", end,
          "], expected them in order and within the ", data.size(), " bytes of data");
    const std::int64_t size = byte_size(tensor.dtype, tensor.shape);
    check(size >= 0, "safetensors", where(), "the size of ", tensor.dtype, ' ', shape_text(tensor.shape), " overflows");
    check(static_cast<std::uint64_t>(size) == end - begin, "safetensors", where(), "its data_offsets span ",
          end - begin, " bytes, but ", tensor.dtype, ' ', shape_text(tensor.shape), " takes ", size);
    tensor.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    used.push_back({static_cast<std::size_t>(begin), static_cast<std::size_t>(end)});
    list_.add(std::move(tensor));
  }

  void check_no_gap(std::vector<std::array<std::size_t, 2>>& used, std::size_t size) const {
    std::sort(used.begin(), used.end());
    std::size_t reached = 0;
    for (const auto& [begin, end] : used) {
      check(begin >= reached, "safetensors", place(), "two tensors overlap at byte ", begin, " of the data");
      check(begin == reached, "safetensors", place(), "no tensor covers bytes ", reached, " to ", begin,
            " of the data");
      reached = end;
    }
    check(reached == size, "safetensors", place(), "no tensor covers bytes ", reached, " to ", size, " of the data");
  }

  MappedFile file_;
  TensorList list_;
  Metadata metadata_;
};

/// What a file will hold of a tensor: everything but its bytes.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
};

/// Writes tensors whose bytes come piece by piece, in any order of tensors, into one file or several with an index.
///
/// With a shard size, tensors are laid into files of at most that many bytes (or one tensor) in their order. One file
/// gets the name asked for, M.safetensors; several are M-00001-of-00003.safetensors, ... and M.safetensors.index.json,
/// as transformers writes them. The files appear under their names in commit(), the index last. In a file the data are
/// sorted by element size, largest first, so that every tensor is aligned to its elements.
class SafetensorsWriter {
 public:
  /// Throws Error for a repeated name, a quantised type and a shape whose size overflows, before anything is written;
  /// and where the other form (one file, or an index) of that name exists, which readers would take for this one.
  SafetensorsWriter(std::filesystem::path path, std::vector<TensorInfo> tensors, const Metadata& metadata = {},
                    std::int64_t shard_bytes = std::numeric_limits<std::int64_t>::max())
      : path_(std::move(path)), tensors_(std::move(tensors)), places_(tensors_.size()) {
    check_tensors();
    const std::size_t shards = assign(shard_bytes);
    for (std::size_t shard = 0; shard < shards; ++shard) open(shard, shards, metadata);
    const std::filesystem::path other = shards > 1 ? path_ : index_path();
    check(shards == 1 || path_.extension() == ".safetensors", "write_safetensors", path_.string(),
          ": several files are needed, expected a name that ends in .safetensors");
    check(!std::filesystem::exists(other), "write_safetensors", other.string(), ": it exists and would stand beside ",
          shards > 1 ? "an index" : "one file", " of the same name; remove it first");
  }

  /// The next bytes of tensor i. Throws Error where it has no more.
  void write(std::size_t i, std::span<const std::byte> piece) {
    Place& place = places_.at(i);
    check(piece.size() <= static_cast<std::size_t>(place.size - place.written), "write_safetensors", where(i),
          "it has ", place.written + static_cast<std::int64_t>(piece.size()), " bytes, but ", tensors_[i].dtype, ' ',
          shape_text(tensors_[i].shape), " takes ", place.size);
    shards_[place.shard]->write_at(static_cast<std::uint64_t>(place.offset + place.written), piece);
    place.written += static_cast<std::int64_t>(piece.size());
  }

  /// Gives the files their names. Throws Error, and leaves nothing, where bytes of a tensor are missing.
  void commit() {
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      check(places_[i].written == places_[i].size, "write_safetensors", where(i), "it has ", places_[i].written,
            " bytes, but ", tensors_[i].dtype, ' ', shape_text(tensors_[i].shape), " takes ", places_[i].size);
    for (const auto& shard : shards_) shard->commit();
    if (shards_.size() == 1) return;
    Json::Object map;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      map.push_back({tensors_[i].name, Json(shard_path(places_[i].shard, shards_.size()).filename().string())});
      total += places_[i].size;
    }
    AtomicFile index(index_path());
    index.write(Json(Json::Object{{"metadata", Json(Json::Object{{"total_size", Json(total)}})},
                                  {"weight_map", Json(std::move(map))}})
                    .dump(2));
    index.commit();
  }

 private:
  /// Where a tensor lies: the file, and there its first byte.
  struct Place {
    std::size_t shard = 0;
    std::int64_t offset = 0, size = 0, written = 0;
  };

  std::string where(std::size_t i) const { return path_.string() + ": tensor '" + tensors_[i].name + "': "; }
  std::filesystem::path index_path() const { return path_.string() + ".index.json"; }
  std::filesystem::path shard_path(std::size_t shard, std::size_t shards) const {
    if (shards == 1) return path_;
    const auto number = [](std::size_t n) {
      const std::string digits = std::to_string(n);
      return std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
    };
    return path_.parent_path() /
           (path_.stem().string() + "-" + number(shard + 1) + "-of-" + number(shards) + ".safetensors");
  }

  void check_tensors() {
    std::unordered_set<std::string_view> names{"__metadata__"};
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TensorInfo& tensor = tensors_[i];
      check(names.insert(tensor.name).second, "write_safetensors", where(i), "the name is taken, expected each once");
      check(info(tensor.dtype).values == 1, "write_safetensors", where(i), "the format has no ", tensor.dtype);
      places_[i].size = byte_size(tensor.dtype, tensor.shape);
      check(places_[i].size >= 0, "write_safetensors", where(i), "the size of ", tensor.dtype, ' ',
            shape_text(tensor.shape), " overflows");
    }
  }

  /// Tells the shard of each tensor, and how many there are.
  std::size_t assign(std::int64_t shard_bytes) {
    std::size_t shard = 0;
    std::int64_t used = 0;
    for (Place& place : places_) {
      if (used > 0 && place.size > shard_bytes - used) {
        ++shard;
        used = 0;
      }
      place.shard = shard;
      used += place.size;
    }
    return shard + 1;
  }

  void open(std::size_t shard, std::size_t shards, const Metadata& metadata) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (places_[i].shard == shard) members.push_back(i);
    std::vector<std::size_t> order = members;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const auto of_a = info(tensors_[a].dtype).bytes, of_b = info(tensors_[b].dtype).bytes;
      return of_a != of_b ? of_a > of_b : a < b;
    });
    std::int64_t end = 0;
    for (const std::size_t i : order) {
      places_[i].offset = end;
      end += places_[i].size;
    }
    Json::Object header;
    if (!metadata.empty()) {
      Json::Object entries;
      for (const auto& [name, text] : metadata) entries.push_back({name, Json(text)});
      header.push_back({"__metadata__", Json(std::move(entries))});
    }
    for (const std::size_t i : members) {
      const TensorInfo& tensor = tensors_[i];
      const auto type = std::find_if(detail::safetensors_types.begin(), detail::safetensors_types.end(),
                                     [&](const auto& entry) { return entry.second == tensor.dtype; });
      Json::Array shape(tensor.shape.begin(), tensor.shape.end());
      Json::Array offsets{places_[i].offset, places_[i].offset + places_[i].size};
      header.push_back({tensor.name, Json(Json::Object{{"dtype", Json(type->first)},
                                                       {"shape", Json(std::move(shape))},
                                                       {"data_offsets", Json(std::move(offsets))}})});
    }
    std::string text = Json(std::move(header)).dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    check(text.size() <= detail::safetensors_header_limit, "write_safetensors", path_.string(), ": the header takes ",
          text.size(), " bytes, at most ", detail::safetensors_header_limit, " are allowed");
    shards_.push_back(std::make_unique<AtomicFile>(shard_path(shard, shards)));
    const auto length = static_cast<std::uint64_t>(text.size());
    shards_.back()->write(std::as_bytes(std::span(&length, 1)));
    shards_.back()->write(text);
    for (const std::size_t i : members) places_[i].offset += static_cast<std::int64_t>(8 + text.size());
  }

  std::filesystem::path path_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<AtomicFile>> shards_;
};

/// Writes tensors that lie in memory, in one step (see SafetensorsWriter, which tells the errors too).
inline void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                              const Metadata& metadata = {},
                              std::int64_t shard_bytes = std::numeric_limits<std::int64_t>::max()) {
  std::vector<TensorInfo> infos;
  for (const TensorView& tensor : tensors) infos.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, std::move(infos), metadata, shard_bytes);
  for (std::size_t i = 0; i < tensors.size(); ++i) writer.write(i, tensors[i].bytes);
  writer.commit();
}

}  // namespace flamingo::io
