/// safetensors files: eight bytes of header length, a JSON header, then the tensors without a gap. Read mapped, written
/// atomically.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
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

/// Writes a file under its name in one step (see AtomicFile). The header keeps the order of `tensors`; the data are
/// sorted by element size, largest first, so that every tensor is aligned to its elements. Throws Error for a repeated
/// name, a quantised type and bytes that do not agree with a shape, before anything is written.
inline void write_safetensors(const std::filesystem::path& path, std::span<const TensorView> tensors,
                              const Metadata& metadata = {}) {
  const auto where = [&](const TensorView& tensor) { return path.string() + ": tensor '" + tensor.name + "': "; };
  std::unordered_set<std::string_view> names{"__metadata__"};
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) {
    check(names.insert(tensor.name).second, "write_safetensors", where(tensor),
          "the name is taken, expected each once");
    check(info(tensor.dtype).values == 1, "write_safetensors", where(tensor), "the format has no ", tensor.dtype);
    const std::int64_t size = byte_size(tensor.dtype, tensor.shape);
    check(size >= 0 && static_cast<std::size_t>(size) == tensor.bytes.size(), "write_safetensors", where(tensor),
          "it has ", tensor.bytes.size(), " bytes, but ", tensor.dtype, ' ', shape_text(tensor.shape), " takes ", size);
    order.push_back(&tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](const TensorView* a, const TensorView* b) {
    return info(a->dtype).bytes > info(b->dtype).bytes;
  });
  std::vector<std::int64_t> offsets(tensors.size());
  std::int64_t end = 0;
  for (const TensorView* tensor : order) {
    offsets[static_cast<std::size_t>(tensor - tensors.data())] = end;
    end += static_cast<std::int64_t>(tensor->bytes.size());
  }

  Json::Object header;
  if (!metadata.empty()) {
    Json::Object entries;
    for (const auto& [name, text] : metadata) entries.push_back({name, Json(text)});
    header.push_back({"__metadata__", Json(std::move(entries))});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = tensors[i];
    const auto type = std::find_if(detail::safetensors_types.begin(), detail::safetensors_types.end(),
                                   [&](const auto& entry) { return entry.second == tensor.dtype; });
    Json::Array shape(tensor.shape.begin(), tensor.shape.end());
    const std::int64_t last = offsets[i] + static_cast<std::int64_t>(tensor.bytes.size());
    header.push_back({tensor.name, Json(Json::Object{{"dtype", Json(type->first)},
                                                     {"shape", Json(std::move(shape))},
                                                     {"data_offsets", Json(Json::Array{offsets[i], last})}})});
  }
  std::string text = Json(std::move(header)).dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  check(text.size() <= detail::safetensors_header_limit, "write_safetensors", path.string(), ": the header takes ",
        text.size(), " bytes, at most ", detail::safetensors_header_limit, " are allowed");

  AtomicFile file(path);
  const auto length = static_cast<std::uint64_t>(text.size());
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const TensorView* tensor : order) file.write(tensor->bytes);
  file.commit();
}

}  // namespace flamingo::io
