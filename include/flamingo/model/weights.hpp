/// Weights of a layer out of tensor files, and back: frozen parts packed as the file has them or as a host asks,
/// trained parts as numbers.
///
/// A TensorTable says where each parameter lies. Loading is strict: every parameter must be found with its shape, every
/// tensor must be read whole; what is missing, unexpected or wrong is told in one error.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <flamingo/core/arena.hpp>
#include <flamingo/core/panels.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/tensor_map.hpp>

namespace flamingo {

/// What a load found: which tensors were used, which parameters have none, which tensors nobody asked for. Several
/// parts may load with one report.
class LoadReport {
 public:
  explicit LoadReport(std::string source) : source_(std::move(source)) {}

  /// Parameters by these patterns of ours may be missing: they keep what they hold.
  void expect_missing(std::string pattern) { expected_.push_back(std::move(pattern)); }

  /// The tensor for a parameter, if it is there in the right shape; `place` says where in it.
  template <class File>
  const io::TensorView* find(const File& file, const Spec& spec, const TensorPlace& place) {
    const io::TensorView* tensor = file.find(place.name);
    if (!tensor) {
      int number = 0;
      const bool expected = std::any_of(expected_.begin(), expected_.end(), [&](const std::string& pattern) {
        return detail::matches(pattern, spec.name, number);
      });
      if (expected)
        missing_.push_back(place.name);
      else
        note("missing '" + place.name + "'");
      return nullptr;
    }
    if (!fits(*tensor, spec, place)) {
      std::string expected;
      flamingo::detail::write(expected, spec.shape());
      note("'" + place.name + "' has shape " + io::shape_text(tensor->shape) + ", expected " + expected +
           (place.group || place.first ? " or more rows" : ""));
      return nullptr;
    }
    Use& use = used_[place.name];
    use.all = static_cast<std::size_t>(tensor->count());
    use.read += spec.size();
    return tensor;
  }

  /// Tensors of the file that no part has read and `table` does not ignore, and those read in part.
  template <class File>
  void look_for_unexpected(const File& file, const TensorTable& table) {
    for (const io::TensorView& tensor : file.tensors()) {
      const auto found = used_.find(tensor.name);
      if (found == used_.end() ? !table.ignores(tensor.name) : found->second.read < found->second.all)
        unexpected_.push_back(tensor.name);
    }
    for (const std::string& name : unexpected_) note("nobody asks for all of '" + name + "'");
  }

  std::vector<std::string> used() const {
    std::vector<std::string> names;
    for (const auto& [name, use] : used_) names.push_back(name);
    return names;
  }
  const std::vector<std::string>& missing() const { return missing_; }  ///< expected to be
  const std::vector<std::string>& unexpected() const { return unexpected_; }

  /// Throws if anything does not fit.
  void finish() const {
    if (count_ == 0) return;
    fail("load", source_, ": ", count_, count_ == 1 ? " tensor does" : " tensors do", " not fit: ", text_,
         count_ > listed ? ", ..." : "");
  }

 private:
  static constexpr int listed = 8;
  struct Use {
    std::size_t all = 0, read = 0;
  };

  static bool fits(const io::TensorView& tensor, const Spec& spec, const TensorPlace& place) {
    const auto count = static_cast<std::size_t>(tensor.count());
    const bool vector = spec.role == Role::vector;
    const int lines = vector ? spec.columns : spec.rows, width = vector ? 1 : spec.columns;
    if (place.group || place.first) {  // a part of a larger tensor
      const auto last = static_cast<std::size_t>(place.row(lines - 1)) + 1;
      return !tensor.shape.empty() && count % static_cast<std::size_t>(width) == 0 &&
             tensor.shape.front() == static_cast<std::int64_t>(count) / width &&
             last <= count / static_cast<std::size_t>(width);
    }
    if (count != spec.size()) return false;
    // The inner axes of a convolution, or a gate of shape (1), may be written in more or fewer extents than ours.
    if (vector) return true;
    if (tensor.shape.size() < 2) return spec.rows == 1;
    if (lies_across(place.layout)) return tensor.shape.back() == spec.rows;
    return tensor.shape.front() == spec.rows;
  }
  void note(const std::string& what) {
    if (count_++ < listed) text_ += (text_.empty() ? "" : "; ") + what;
  }

  std::string source_, text_;
  std::vector<std::string> expected_, missing_, unexpected_;
  std::map<std::string, Use> used_;
  int count_ = 0;
};

/// How frozen matrices are held. As the file stores them, they are read where the file is mapped; in any other form
/// they are converted once, row by row, into memory of their own.
enum class Held {
  as_stored,
  as_floats,
  as_bf16,
  as_int8,  ///< a scale for each row
};
/// How matrices lie in memory.
enum class Arrangement {
  rows,    ///< row after row, where possible in the mapped file
  panels,  ///< 32 rows interleaved (core/panels.hpp), in memory of their own: generating reads them several times as
           ///< fast; backward reads them slowly
};

namespace detail {

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

/// The rows of a parameter as they lie in a foreign tensor, one at a time as numbers.
template <class T>
class PlacedRows {
 public:
  PlacedRows(const io::TensorView& tensor, const Spec& spec, const TensorPlace& place)
      : place_(place),
        width_(spec.role == Role::vector ? 1 : spec.columns),
        lines_(spec.role == Role::vector ? spec.columns : spec.rows),
        row_{tensor.name, tensor.dtype, {width_}, {}},
        bytes_(tensor.bytes) {
    const std::int64_t numbers = std::int64_t{lines_} * width_;
    whole_bytes_ = static_cast<std::size_t>(io::byte_size(tensor.dtype, std::span(&numbers, 1)));
    if (lies_across(place.layout)) {
      whole_.resize(spec.size());
      io::convert(tensor, std::span<T>(whole_));
    } else if (place.layout == Layout::channels_first) {
      check(width_ % place.channels == 0, "load", "'", tensor.name, "' has ", width_, " columns, no multiple of ",
            place.channels, " channels");
      whole_.resize(static_cast<std::size_t>(width_));
    }
  }
  int lines() const { return lines_; }

  /// Row r of the parameter.
  void read(int r, std::span<T> out) {
    if (lies_across(place_.layout)) {
      for (std::size_t c = 0; c < out.size(); ++c)
        out[c] = whole_[c * static_cast<std::size_t>(lines_) + static_cast<std::size_t>(r)];
      return;
    }
    const std::int64_t size_or_none = io::byte_size(row_.dtype, row_.shape);
    check(size_or_none >= 0, "load", "'", row_.name, "' is ", row_.dtype, ": its rows of ", width_,
          " are no whole blocks");
    const auto size = static_cast<std::size_t>(size_or_none);
    row_.bytes = bytes_.subspan(static_cast<std::size_t>(place_.row(r)) * size, size);
    if (place_.layout != Layout::channels_first) return io::convert(row_, out);
    io::convert(row_, std::span<T>(whole_));
    const auto channels = static_cast<std::size_t>(place_.channels), cells = out.size() / channels;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = whole_[i % channels * cells + i / channels];
  }
  /// All of them, one after another.
  void read_all(T* to) {
    if (!lies_across(place_.layout) && place_.layout != Layout::channels_first && !place_.group &&
        bytes_.size() == whole_bytes_)  // as they lie there
      return io::convert({row_.name, row_.dtype, {std::int64_t{lines_} * width_}, bytes_},
                         std::span<T>(to, static_cast<std::size_t>(lines_) * static_cast<std::size_t>(width_)));
    for (int r = 0; r < lines_; ++r)
      read(r, {to + static_cast<std::size_t>(r) * static_cast<std::size_t>(width_), static_cast<std::size_t>(width_)});
  }

 private:
  TensorPlace place_;
  int width_, lines_;
  io::TensorView row_;
  std::span<const std::byte> bytes_;
  std::size_t whole_bytes_ = 0;  ///< of a tensor that holds this parameter alone
  std::vector<T> whole_;         ///< all of a transposed tensor, or one row of a convolution's
};

}  // namespace detail

/// Read-only weights of a layer that share their memory: copies are cheap and refer to the same bytes.
template <class Layer, Platform P>
struct PackedWeights {
  typename Layer::template Parameters<Packed<P>> views{};
  std::vector<std::shared_ptr<const void>> owners;

  /// `file` (anything with find, tensors and path: io::Safetensors, io::Gguf, io::Checkpoint) stays mapped as long as
  /// any copy of these weights lives. Without a report of the caller's, whatever is missing or wrong throws.
  template <class File>
  static PackedWeights load(std::shared_ptr<const File> file, Held held = Held::as_stored,
                            const TensorTable& table = {}, LoadReport* report = nullptr,
                            Arrangement arrangement = Arrangement::rows) {
    PackedWeights w;
    w.owners.push_back(file);
    LoadReport own(file->path().string());
    LoadReport& found = report ? *report : own;
    auto fetch = [&](const Spec& spec, auto& leaf) {
      const TensorPlace place = table.place(spec);
      if (const io::TensorView* tensor = found.find(*file, spec, place))
        w.fetch(leaf, spec, *tensor, place, held, arrangement);
    };
    Layer::each(fetch, w.views);
    own.finish();
    return w;
  }
  /// The host's weights, row after row, copied to P's own memory.
  static PackedWeights copy_of(const PackedWeights<Layer, HostOf<P>>& host)
    requires(!std::same_as<HostOf<P>, P>)
  {
    PackedWeights w;
    auto put = [&w](const Spec&, const auto& from, auto& to) { w.place(from, to); };
    Layer::each(put, host.views, w.views);
    return w;
  }

 private:
  template <class, Platform>
  friend struct PackedWeights;

  std::shared_ptr<Pieces> panels_;  ///< owns all matrices in panels

  /// Where the host is not P, one parameter at a time is in both memories; P's kernels have one order, so the
  /// arrangement says nothing there.
  template <class Leaf>
  void fetch(Leaf& leaf, const Spec& spec, const io::TensorView& tensor, const TensorPlace& place, Held held,
             Arrangement arrangement) {
    if constexpr (std::same_as<HostOf<P>, P>) {
      point(leaf, spec, tensor, place, held, arrangement);
    } else {
      PackedWeights<Layer, HostOf<P>> host;
      auto from = on_host(leaf);
      host.point(from, spec, tensor, place, held, Arrangement::rows);
      this->place(from, leaf);
    }
  }
  template <int O, int D>
  static PackedMatrix<HostOf<P>, O, D> on_host(const PackedMatrix<P, O, D>&) {
    return {};
  }
  template <int O, int D, class T>
  static MatrixView<HostOf<P>, O, D, T> on_host(const MatrixView<P, O, D, T>&) {
    return {};
  }
  template <int D, class T>
  static VectorView<HostOf<P>, D, T> on_host(const VectorView<P, D, T>&) {
    return {};
  }
  template <int O, int D>
  void place(const PackedMatrix<HostOf<P>, O, D>& from, PackedMatrix<P, O, D>& to) {
    auto buffer = std::make_shared<PackedBuffer<P>>(from);
    to.format = from.format;
    buffer->point(to);
    owners.push_back(std::move(buffer));
  }
  template <class From, class To>
  void place(const From& from, To& to) {
    using T = typename To::Element;
    auto buffer = std::make_shared<typename Buffer<P, T>::type>(std::vector<T>(from.data, from.data + from.size()));
    to.data = buffer->data();
    owners.push_back(std::move(buffer));
  }

  template <int O, int D>
  void point(PackedMatrix<P, O, D>& leaf, const Spec& spec, const io::TensorView& tensor, const TensorPlace& place,
             Held held, Arrangement arrangement) {
    const std::size_t before = owners.size();
    point_rows(leaf, spec, tensor, place, held);
    if (arrangement == Arrangement::rows) return;
    if (!panels_) panels_ = std::make_shared<Pieces>();
    std::byte* panels = panels_->take(panel_bytes(leaf.rows, leaf.row_bytes()));
    interleave(leaf, panels);
    leaf.data = panels;
    leaf.panels = true;
    if (owners.size() > before) owners.erase(owners.begin() + static_cast<std::ptrdiff_t>(before));  // the rows
  }
  /// Owners of what is converted come last: first the rows, then their scales.
  template <int O, int D>
  void point_rows(PackedMatrix<P, O, D>& leaf, const Spec& spec, const io::TensorView& tensor, const TensorPlace& place,
                  Held held) {
    Format stored{};
    const bool packs =
        detail::packs_as(tensor.dtype, stored) && place.layout != Layout::channels_first && !lies_across(place.layout);
    if (packs && (held == Held::as_stored || (held == Held::as_bf16 && stored == Format::bf16) ||
                  (held == Held::as_floats && stored == Format::f32))) {
      leaf.format = stored;
      leaf.data = stored_rows(spec, tensor, place);
    } else if (held == Held::as_bf16) {
      leaf.format = Format::bf16;
      leaf.data = converted<bfloat16>(spec, tensor, place, [](std::span<const float> row, bfloat16* to) {
        std::transform(row.begin(), row.end(), to, [](float x) { return bfloat16(x); });
      });
    } else if (held == Held::as_int8) {
      auto scales = std::make_shared<std::vector<float>>();
      leaf.format = Format::int8;
      leaf.data = converted<std::int8_t>(spec, tensor, place, [&](std::span<const float> row, std::int8_t* to) {
        float most = 0;
        for (const float x : row) most = std::max(most, std::abs(x));
        scales->push_back(most / 127);
        const float inverse = most > 0 ? 127 / most : 0;
        std::transform(row.begin(), row.end(), to,
                       [inverse](float x) { return static_cast<std::int8_t>(std::lround(x * inverse)); });
      });
      leaf.scales = scales->data();
      owners.push_back(std::move(scales));
    } else {
      leaf.format = Format::f32;
      leaf.data = reinterpret_cast<const std::byte*>(numbers<float>(spec, tensor, place));
    }
  }
  template <int O, int D, class T>
  void point(MatrixView<P, O, D, T>& leaf, const Spec& spec, const io::TensorView& tensor, const TensorPlace& place,
             Held, Arrangement) {
    leaf.data = const_cast<T*>(numbers<T>(spec, tensor, place));
  }
  template <int D, class T>
  void point(VectorView<P, D, T>& leaf, const Spec& spec, const io::TensorView& tensor, const TensorPlace& place, Held,
             Arrangement) {
    leaf.data = const_cast<T*>(numbers<T>(spec, tensor, place));
  }

  /// Rows as the file has them: in place where they lie one after another, else gathered.
  const std::byte* stored_rows(const Spec& spec, const io::TensorView& tensor, const TensorPlace& place) {
    const std::int64_t width = spec.columns;
    const auto row = static_cast<std::size_t>(io::byte_size(tensor.dtype, std::span(&width, 1)));
    const std::byte* first = tensor.bytes.data() + static_cast<std::size_t>(place.first) * row;
    // Numbers are read in place only where they are aligned; a file may put them anywhere.
    const bool aligned =
        tensor.dtype != io::DType::f32 || reinterpret_cast<std::uintptr_t>(first) % alignof(float) == 0;
    if (aligned && (!place.group || place.group >= spec.rows || place.stride == place.group)) return first;
    auto all = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(spec.rows) * row);
    for (int r = 0; r < spec.rows; ++r)
      std::memcpy(all->data() + static_cast<std::size_t>(r) * row,
                  tensor.bytes.data() + static_cast<std::size_t>(place.row(r)) * row, row);
    const std::byte* data = all->data();
    owners.push_back(std::move(all));
    return data;
  }
  /// Rows in another form, of one U a number.
  template <class U, class Convert>
  const std::byte* converted(const Spec& spec, const io::TensorView& tensor, const TensorPlace& place,
                             const Convert& convert) {
    const auto width = static_cast<std::size_t>(spec.columns);
    auto all = std::make_shared<std::vector<U>>(spec.size());
    detail::PlacedRows<float> rows(tensor, spec, place);
    std::vector<float> row(width);
    for (int r = 0; r < rows.lines(); ++r) {
      rows.read(r, row);
      convert(row, all->data() + static_cast<std::size_t>(r) * width);
    }
    const auto* data = reinterpret_cast<const std::byte*>(all->data());
    owners.push_back(std::move(all));
    return data;
  }
  template <class T>
  const T* numbers(const Spec& spec, const io::TensorView& tensor, const TensorPlace& place) {
    auto all = std::make_shared<std::vector<T>>(spec.size());
    if constexpr (std::is_floating_point_v<T>) {
      detail::PlacedRows<T>(tensor, spec, place).read_all(all->data());
    } else {
      std::vector<float> wide(spec.size());
      detail::PlacedRows<float>(tensor, spec, place).read_all(wide.data());
      std::transform(wide.begin(), wide.end(), all->begin(), [](float x) { return T(x); });
    }
    const T* data = all->data();
    owners.push_back(std::move(all));
    return data;
  }
};

/// Fills stored parameters from a file. Without a report of the caller's, whatever is missing or wrong throws.
template <class Layer, class File, class Parameters>
void load_numbers(const File& file, Parameters& p, const TensorTable& table = {}, LoadReport* report = nullptr) {
  LoadReport own(file.path().string());
  LoadReport& found = report ? *report : own;
  auto fetch = [&](const Spec& spec, auto& leaf) {
    const TensorPlace place = table.place(spec);
    using T = std::remove_reference_t<decltype(*leaf.data)>;
    if (const io::TensorView* tensor = found.find(file, spec, place))
      detail::PlacedRows<T>(*tensor, spec, place).read_all(leaf.data);
  };
  Layer::each(fetch, p);
  own.finish();
}

/// Foreign tensors put together out of our parameters: what load_numbers read through the same tables. The parameters
/// are read when tensors are made; until then they must live.
class TensorWriter {
 public:
  explicit TensorWriter(io::DType dtype) : dtype_(dtype) {
    check(dtype == io::DType::f32 || dtype == io::DType::f64 || dtype == io::DType::f16 || dtype == io::DType::bf16,
          "save", "dtype is ", dtype, ", expected f32, f64, f16 or bf16");
  }
  TensorWriter(const TensorWriter&) = delete;  // parts point to it
  TensorWriter& operator=(const TensorWriter&) = delete;

  /// Stored parameters.
  template <class Layer, class Parameters>
  void add(const Parameters& p, const TensorTable& table = {}) {
    auto put = [&](const Spec& spec, const auto& leaf) {
      const TensorPlace place = table.place(spec);
      const auto* numbers = leaf.data;
      declare(spec, place).parts.push_back([this, spec, place, numbers](const Tensor& t, std::vector<std::byte>& to) {
        put_rows(spec, place, numbers, t, to);
      });
    };
    Layer::each(put, p);
  }
  /// The shapes alone of a layer's parameters.
  template <class Layer>
  void add_shapes(const TensorTable& table = {}) {
    auto put = [&](const Spec& spec) { declare(spec, table.place(spec)); };
    Layer::each(put);
  }

  /// What the tensors are called and how large they are, in the order in which they were first named. Throws where
  /// parts of one are missing.
  std::vector<io::TensorInfo> infos() const {
    std::vector<io::TensorInfo> all;
    for (const Tensor& t : tensors_) {
      const auto whole = static_cast<std::size_t>(t.lines) * static_cast<std::size_t>(t.width);
      check(t.numbers == whole, "save", "'", t.name, "' has ", whole, " numbers, of which ", t.numbers,
            " were written");
      all.push_back({t.name, dtype_, t.shape()});
    }
    return all;
  }
  /// The bytes of tensor i.
  std::vector<std::byte> bytes(std::size_t i) const {
    const Tensor& t = tensors_[i];
    std::vector<std::byte> all(static_cast<std::size_t>(t.lines) * static_cast<std::size_t>(t.width) * size());
    for (const auto& part : t.parts) part(t, all);
    return all;
  }

  /// All of them, with bytes that live as long as this object.
  std::vector<io::TensorView> tensors() {
    std::vector<io::TensorView> views;
    for (io::TensorInfo& info : infos()) {
      held_.push_back(bytes(views.size()));
      views.push_back({std::move(info.name), info.dtype, std::move(info.shape), held_.back()});
    }
    return views;
  }

  /// Writes a safetensors file, or several and their index, of at most `shard_bytes` each; one tensor at a time is in
  /// memory.
  void save(const std::filesystem::path& path, const io::Metadata& metadata = {},
            std::int64_t shard_bytes = std::numeric_limits<std::int64_t>::max()) const {
    io::SafetensorsWriter writer(path, infos(), metadata, shard_bytes);
    for (std::size_t i = 0; i < tensors_.size(); ++i) writer.write(i, bytes(i));
    writer.commit();
  }

 private:
  struct Tensor {
    std::string name;
    int lines = 0, width = 1;
    Layout layout = Layout::rows;
    bool vector = false;
    int channels = 3;
    std::size_t numbers = 0;  ///< of all parts
    std::vector<std::function<void(const Tensor&, std::vector<std::byte>&)>> parts{};

    std::vector<std::int64_t> shape() const {
      if (layout == Layout::filters) return {lines, 1, 1, 1};
      if (vector || layout == Layout::line) return {vector ? lines : width};
      if (layout == Layout::transposed) return {width, lines};
      if (layout == Layout::channels_first || layout == Layout::filters_last) {
        const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(width / channels)));
        if (layout == Layout::filters_last) return {side, side, channels, lines};
        return {lines, channels, side, side};
      }
      return {lines, width};
    }
  };

  std::size_t size() const { return static_cast<std::size_t>(io::info(dtype_).bytes); }

  Tensor& declare(const Spec& spec, const TensorPlace& place) {
    const bool vector = spec.role == Role::vector;
    const int lines = vector ? spec.columns : spec.rows, width = vector ? 1 : spec.columns;
    const auto known = index_.try_emplace(place.name, tensors_.size());
    if (known.second) tensors_.push_back({place.name, 0, width, place.layout, vector, place.channels});
    Tensor& t = tensors_[known.first->second];
    check(t.width == width && t.layout == place.layout && t.vector == vector, "save", "'", place.name,
          "' is written by parameters of different shapes");
    t.lines = std::max(t.lines, place.row(lines - 1) + 1);
    t.numbers += spec.size();
    return t;
  }
  template <class T>
  void put_rows(const Spec& spec, const TensorPlace& place, const T* numbers, const Tensor& t,
                std::vector<std::byte>& to) const {
    const int lines = t.vector ? spec.columns : spec.rows;
    const auto columns = static_cast<std::size_t>(t.width);
    const auto channels = static_cast<std::size_t>(place.channels), cells = columns / channels;
    for (int r = 0; r < lines; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        const auto row = static_cast<std::size_t>(place.row(r));
        std::size_t at = row * columns + c;
        if (lies_across(place.layout)) at = c * static_cast<std::size_t>(lines) + row;
        if (place.layout == Layout::channels_first) at = row * columns + c % channels * cells + c / channels;
        put_number(to.data() + at * size(), numbers[static_cast<std::size_t>(r) * columns + c]);
      }
  }
  template <class T>
  void put_number(std::byte* at, T number) const {
    const auto put = [at](auto value) { std::memcpy(at, &value, sizeof(value)); };
    if (dtype_ == io::DType::bf16)
      put(bfloat16(static_cast<float>(number)).bits);
    else if (dtype_ == io::DType::f16)
      put(half(static_cast<float>(number)).bits);
    else if (dtype_ == io::DType::f64)
      put(static_cast<double>(number));
    else
      put(static_cast<float>(number));
  }

  io::DType dtype_;
  std::vector<Tensor> tensors_;
  std::map<std::string, std::size_t> index_;
  std::deque<std::vector<std::byte>> held_;
};

}  // namespace flamingo
