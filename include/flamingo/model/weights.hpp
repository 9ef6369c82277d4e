/// Weights of a layer out of tensor files, and back: frozen parts packed as the file has them, trained parts as
/// numbers.
///
/// A foreign file is read through a function from our parameter names to its tensor names. Loading is strict: every
/// parameter must be found with its shape; what is missing or wrong is listed in one error.
#pragma once
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <flamingo/core/parameters.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/io/safetensors.hpp>

namespace flamingo {

/// Our dotted name -> the file's name.
using NameMap = std::function<std::string(std::string_view)>;
inline std::string same_name(std::string_view name) { return std::string(name); }

namespace detail {

/// Gathers what is wrong with a checkpoint, to say all of it at once.
class LoadReport {
 public:
  explicit LoadReport(std::string file) : file_(std::move(file)) {}

  /// The tensor for a parameter, if it is there in the right shape.
  template <class File>
  const io::TensorView* find(const File& file, const Spec& spec, const NameMap& name_of) {
    const std::string name = name_of(spec.name);
    const io::TensorView* tensor = file.find(name);
    if (!tensor) {
      note("missing '" + name + "'");
      return nullptr;
    }
    // The inner axes of a convolution, or a gate of shape (1), may be written in more or fewer extents than ours.
    const bool same_rows = tensor->shape.size() < 2 ? spec.rows == 1 : tensor->shape.front() == spec.rows;
    if (tensor->count() != static_cast<std::int64_t>(spec.size()) || (spec.role != Role::vector && !same_rows)) {
      std::ostringstream expected;
      flamingo::detail::write(expected, spec.shape());
      note("'" + name + "' has shape " + io::shape_text(tensor->shape) + ", expected " + expected.str());
      return nullptr;
    }
    return tensor;
  }
  void finish() const {
    if (count_ == 0) return;
    fail("load", file_, ": ", count_, count_ == 1 ? " tensor does" : " tensors do", " not fit: ", text_,
         count_ > listed ? ", ..." : "");
  }

 private:
  static constexpr int listed = 8;
  void note(const std::string& what) {
    if (count_++ < listed) text_ += (text_.empty() ? "" : "; ") + what;
  }
  std::string file_, text_;
  int count_ = 0;
};

inline bool packs_as(io::DType dtype, Format& format) {
  switch (dtype) {
    case io::DType::f32:
      format = Format::f32;
      return true;
    case io::DType::f16:
      format = Format::f16;
      return true;
    case io::DType::bf16:
      format = Format::bf16;
      return true;
    case io::DType::q8_0:
      format = Format::q8_0;
      return true;
    case io::DType::q4_0:
      format = Format::q4_0;
      return true;
    case io::DType::q4_1:
      format = Format::q4_1;
      return true;
    default:
      return false;
  }
}

}  // namespace detail

/// How frozen matrices are held: as the file stores them, mapped; or as floats, which costs memory and saves time.
enum class Held { as_stored, as_floats };

/// Read-only weights of a layer that share their memory: copies are cheap and refer to the same bytes.
template <class Layer, Platform P>
struct PackedWeights {
  typename Layer::template Parameters<Packed<P>> views{};
  std::vector<std::shared_ptr<const void>> owners;

  /// `file` (io::Safetensors or io::Gguf) stays mapped as long as any copy of these weights lives.
  template <class File>
  static PackedWeights load(std::shared_ptr<const File> file, Held held = Held::as_stored,
                            const NameMap& name_of = same_name) {
    PackedWeights w;
    w.owners.push_back(file);
    detail::LoadReport report(file->path().string());
    auto fetch = [&](const Spec& spec, auto& leaf) {
      if (const io::TensorView* tensor = report.find(*file, spec, name_of)) w.point(leaf, spec, *tensor, held);
    };
    Layer::each(fetch, w.views);
    report.finish();
    return w;
  }

 private:
  template <int O, int D>
  void point(PackedMatrix<P, O, D>& leaf, const Spec&, const io::TensorView& tensor, Held held) {
    Format format{};
    // Numbers are read in place only where they are aligned; a file may put them anywhere.
    const bool aligned =
        tensor.dtype != io::DType::f32 || reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(float) == 0;
    if (held == Held::as_stored && aligned && detail::packs_as(tensor.dtype, format)) {
      leaf.format = format;
      leaf.data = tensor.bytes.data();
    } else {
      leaf.format = Format::f32;
      leaf.data = reinterpret_cast<const std::byte*>(numbers<float>(tensor));
    }
  }
  template <int O, int D, class T>
  void point(MatrixView<P, O, D, T>& leaf, const Spec&, const io::TensorView& tensor, Held) {
    leaf.data = const_cast<T*>(numbers<T>(tensor));
  }
  template <int D, class T>
  void point(VectorView<P, D, T>& leaf, const Spec&, const io::TensorView& tensor, Held) {
    leaf.data = const_cast<T*>(numbers<T>(tensor));
  }
  template <class T>
  const T* numbers(const io::TensorView& tensor) {
    auto all = std::make_shared<std::vector<T>>(static_cast<std::size_t>(tensor.count()));
    io::convert(tensor, std::span<T>(*all));
    const T* data = all->data();
    owners.push_back(std::move(all));
    return data;
  }
};

/// Fills stored parameters from a file.
template <class Layer, class File, class Parameters>
void load_numbers(const File& file, Parameters& p, const NameMap& name_of = same_name) {
  detail::LoadReport report(file.path().string());
  auto fetch = [&](const Spec& spec, auto& leaf) {
    if (const io::TensorView* tensor = report.find(file, spec, name_of))
      io::convert(*tensor, std::span(leaf.data, spec.size()));
  };
  Layer::each(fetch, p);
  report.finish();
}

/// Tensors of stored parameters, named `prefix` + our name, converted to dtype (f32 or bf16); `bytes` holds them.
template <class Layer, class Parameters>
void append_tensors(const Parameters& p, std::string_view prefix, io::DType dtype, std::vector<io::TensorView>& tensors,
                    std::vector<std::shared_ptr<std::vector<std::byte>>>& bytes) {
  check(dtype == io::DType::f32 || dtype == io::DType::f64 || dtype == io::DType::bf16, "save", "dtype is ", dtype,
        ", expected f32, f64 or bf16");
  auto put = [&](const Spec& spec, const auto& leaf) {
    const std::size_t n = spec.size();
    auto buffer = std::make_shared<std::vector<std::byte>>(n * static_cast<std::size_t>(io::info(dtype).bytes));
    for (std::size_t i = 0; i < n; ++i) {
      const auto write = [&](auto value) { std::memcpy(buffer->data() + i * sizeof(value), &value, sizeof(value)); };
      if (dtype == io::DType::bf16)
        write(bfloat16(static_cast<float>(leaf.data[i])).bits);
      else if (dtype == io::DType::f64)
        write(static_cast<double>(leaf.data[i]));
      else
        write(static_cast<float>(leaf.data[i]));
    }
    std::vector<std::int64_t> shape;
    if (spec.role != Role::vector) shape.push_back(spec.rows);
    shape.push_back(spec.columns);
    tensors.push_back({std::string(prefix) + std::string(std::string_view(spec.name)), dtype, shape, *buffer});
    bytes.push_back(std::move(buffer));
  };
  Layer::each(put, p);
}

}  // namespace flamingo
