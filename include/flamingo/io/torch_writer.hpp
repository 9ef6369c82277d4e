/// Writing state dicts that torch.load opens: a stored zip with a pickle of tensors and one storage for each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/checksum.hpp>
#include <flamingo/io/tensor_file.hpp>

namespace flamingo::io {

namespace detail {

/// Numbers as a zip archive and a pickle have them, little-endian.
template <class T>
void append(std::string& to, T number) {
  to.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

/// A zip archive of stored entries, written from its beginning to its end. Entries begin at multiples of 64, so that
/// their numbers can be read where the file is mapped.
class StoredZipWriter {
 public:
  explicit StoredZipWriter(const std::filesystem::path& path) : file_(path) {}

  void add(const std::string& name, std::span<const std::byte> bytes) {
    const Entry entry{name, crc32(bytes), bytes.size(), at_};
    std::string header = "PK\3\4";
    append(header, std::uint16_t{45});  // zip64
    header.append(8, '\0');             // no flags, stored, no time
    append(header, entry.crc);
    append(header, low(entry.size));
    append(header, low(entry.size));
    append(header, static_cast<std::uint16_t>(name.size()));
    // The extra field: sizes where 32 bits do not hold them, and filling up to the next multiple of 64.
    std::string extra = entry.size > most ? wide({entry.size, entry.size}) : "";
    const std::uint64_t end = at_ + header.size() + 2 + name.size() + extra.size() + 4;
    const std::size_t filling = static_cast<std::size_t>((64 - end % 64) % 64);
    append(extra, std::uint16_t{0x4246});
    append(extra, static_cast<std::uint16_t>(filling));
    extra.append(filling, 'Z');
    append(header, static_cast<std::uint16_t>(extra.size()));
    write(header + name + extra);
    file_.write(bytes);
    at_ += bytes.size();
    entries_.push_back(entry);
  }
  void add(const std::string& name, std::string_view text) {
    add(name, std::as_bytes(std::span(text.data(), text.size())));
  }

  void commit() {
    const std::uint64_t begin = at_, count = entries_.size();
    for (const Entry& entry : entries_) {
      const bool large = entry.size > most, far = entry.at > most;
      std::vector<std::uint64_t> numbers;
      if (large) numbers.insert(numbers.end(), {entry.size, entry.size});
      if (far) numbers.push_back(entry.at);
      const std::string extra = numbers.empty() ? "" : wide(numbers);
      std::string header = "PK\1\2";
      append(header, std::uint16_t{45});
      append(header, std::uint16_t{45});
      header.append(8, '\0');
      append(header, entry.crc);
      append(header, low(entry.size));
      append(header, low(entry.size));
      append(header, static_cast<std::uint16_t>(entry.name.size()));
      append(header, static_cast<std::uint16_t>(extra.size()));
      header.append(10, '\0');  // no comment, first disk, no attributes
      append(header, low(entry.at));
      write(header + entry.name + extra);
    }
    const std::uint64_t size = at_ - begin, record = at_;
    std::string end = "PK\6\6";
    append(end, std::uint64_t{44});
    append(end, std::uint16_t{45});
    append(end, std::uint16_t{45});
    append(end, std::uint64_t{0});  // this disk, the directory's disk
    for (const std::uint64_t n : {count, count, size, begin}) append(end, n);
    end += "PK\6\7";
    append(end, std::uint32_t{0});
    append(end, record);
    append(end, std::uint32_t{1});
    end += "PK\5\6";
    append(end, std::uint32_t{0});
    for (int twice = 0; twice < 2; ++twice) append(end, static_cast<std::uint16_t>(count < 0xffff ? count : 0xffff));
    append(end, low(size));
    append(end, low(begin));
    append(end, std::uint16_t{0});
    write(end);
    file_.commit();
  }

 private:
  struct Entry {
    std::string name;
    std::uint32_t crc;
    std::uint64_t size, at;
  };
  static constexpr std::uint64_t most = 0xfffffffe;

  static std::uint32_t low(std::uint64_t n) { return n > most ? 0xffffffffu : static_cast<std::uint32_t>(n); }
  static std::string wide(const std::vector<std::uint64_t>& numbers) {
    std::string extra;
    append(extra, std::uint16_t{1});
    append(extra, static_cast<std::uint16_t>(8 * numbers.size()));
    for (const std::uint64_t n : numbers) append(extra, n);
    return extra;
  }
  void write(const std::string& text) {
    file_.write(text);
    at_ += text.size();
  }

  AtomicFile file_;
  std::uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

/// The few opcodes of pickle protocol 2 that a dict of tensors needs.
class PickleWriter {
 public:
  std::string text = "\x80\x02";

  PickleWriter& op(std::string_view code) {
    text += code;
    return *this;
  }
  PickleWriter& global(std::string_view module, std::string_view name) {
    ((text += 'c') += module) += '\n';
    (text += name) += '\n';
    return *this;
  }
  PickleWriter& string(std::string_view s) {
    text += 'X';
    append(text, static_cast<std::uint32_t>(s.size()));
    text += s;
    return *this;
  }
  PickleWriter& integer(std::int64_t n) {
    if (n >= std::numeric_limits<std::int32_t>::min() && n <= std::numeric_limits<std::int32_t>::max()) {
      text += 'J';
      append(text, static_cast<std::int32_t>(n));
    } else {
      text += "\x8a\x08";
      append(text, n);
    }
    return *this;
  }
};

inline std::string_view torch_storage(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "FloatStorage";
    case DType::f16:
      return "HalfStorage";
    case DType::bf16:
      return "BFloat16Storage";
    case DType::f64:
      return "DoubleStorage";
    case DType::i64:
      return "LongStorage";
    case DType::i32:
      return "IntStorage";
    case DType::i16:
      return "ShortStorage";
    case DType::i8:
      return "CharStorage";
    case DType::u8:
      return "ByteStorage";
    case DType::boolean:
      return "BoolStorage";
    default:
      return {};
  }
}

}  // namespace detail

/// Writes `tensors` as torch.save writes a dict of them, complete or not at all. Throws Error for a quantised type and
/// a size that does not agree with the shape.
inline void write_torch(const std::filesystem::path& path, std::span<const TensorView> tensors) {
  detail::PickleWriter pickle;
  pickle.op("}(");  // an empty dict, and a mark before its items
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& t = tensors[i];
    const std::string_view storage = detail::torch_storage(t.dtype);
    check(!storage.empty(), "write_torch", path.string(), ": tensor '", t.name, "' is ", t.dtype,
          ", a type that torch does not have");
    check(byte_size(t.dtype, t.shape) == static_cast<std::int64_t>(t.bytes.size()), "write_torch", path.string(),
          ": tensor '", t.name, "' has ", t.bytes.size(), " bytes, expected ", byte_size(t.dtype, t.shape));
    pickle.string(t.name).global("torch._utils", "_rebuild_tensor_v2").op("(");
    pickle.op("(").string("storage").global("torch", storage).string(std::to_string(i)).string("cpu");
    pickle.integer(t.count()).op("tQ").integer(0).op("(");
    for (const std::int64_t extent : t.shape) pickle.integer(extent);
    pickle.op("t(");
    for (std::size_t axis = 0; axis < t.shape.size(); ++axis) {
      std::int64_t stride = 1;
      for (std::size_t inner = axis + 1; inner < t.shape.size(); ++inner) stride *= t.shape[inner];
      pickle.integer(stride);
    }
    pickle.op("t\x89").global("collections", "OrderedDict").op(")RtR");  // no gradient, no hooks
  }
  pickle.op("u.");

  detail::StoredZipWriter zip(path);
  zip.add("archive/data.pkl", pickle.text);
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i) zip.add("archive/data/" + std::to_string(i), tensors[i].bytes);
  zip.add("archive/version", "3\n");
  zip.commit();
}

}  // namespace flamingo::io
