/// A training batch in a file: what a trainer refused, to be looked at and passed again.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/io/safetensors.hpp>
#include <flamingo/train/training_batch.hpp>

namespace flamingo {

namespace detail {
/// Numbers of a medium, a picture and a sequence in their tables.
inline constexpr std::size_t medium_columns = 5, picture_columns = 3, sequence_columns = 4;

template <class T>
io::DType dtype_of() {
  if constexpr (std::is_same_v<T, std::int32_t>)
    return io::DType::i32;
  else if constexpr (std::is_same_v<T, double>)
    return io::DType::f64;
  else if constexpr (std::is_same_v<T, bfloat16>)
    return io::DType::bf16;
  else
    return io::DType::f32;
}
}  // namespace detail

/// Writes a batch exactly, beside the file, and renames it. The tables: media (first, rows, frames, place, visible),
/// pictures (first, height, width), sequences (tokens, targets, first medium, media).
template <class R>
void save_batch(const std::filesystem::path& path, const TrainingBatch<R>& batch, const io::Metadata& notes = {}) {
  using Ints = std::vector<std::int32_t>;
  Ints media, pictures, sequences, ids, phi, targets;
  for (const Medium& m : batch.media) media.insert(media.end(), {m.first, m.rows, m.frames, m.place, m.visible});
  for (const Grid& g : batch.pictures) pictures.insert(pictures.end(), {g.first, g.height, g.width});
  for (const Sequence& s : batch.sequences) {
    const auto tokens = static_cast<std::int32_t>(s.ids.size()), asked = static_cast<std::int32_t>(s.targets.size());
    sequences.insert(sequences.end(), {tokens, asked, s.first_medium, s.media});
    ids.insert(ids.end(), s.ids.begin(), s.ids.end());
    phi.insert(phi.end(), s.phi.begin(), s.phi.end());
    targets.insert(targets.end(), s.targets.begin(), s.targets.end());
  }
  std::vector<io::TensorView> tensors;
  const auto add = [&](std::string name, const auto& numbers, std::size_t columns) {
    using T = typename std::remove_cvref_t<decltype(numbers)>::value_type;
    const auto count = static_cast<std::int64_t>(numbers.size()), width = static_cast<std::int64_t>(columns);
    std::vector<std::int64_t> shape{count / width};
    if (columns > 1) shape.push_back(width);
    tensors.push_back({std::move(name), detail::dtype_of<T>(), std::move(shape), std::as_bytes(std::span(numbers))});
  };
  add("features", batch.features, 1);
  add("pixels", batch.pixels, 1);
  add("media", media, detail::medium_columns);
  add("pictures", pictures, detail::picture_columns);
  add("sequences", sequences, detail::sequence_columns);
  add("ids", ids, 1);
  add("phi", phi, 1);
  add("targets", targets, 1);
  io::write_safetensors(path, tensors, notes);
}

/// Reads what save_batch() wrote. Throws Error, with the file's name, where a table is missing or they contradict one
/// another.
template <class R>
TrainingBatch<R> load_batch(const std::filesystem::path& path) {
  const io::Safetensors file(path);
  const auto read = [&]<class T>(std::vector<T>& to, std::string_view name, std::size_t columns) {
    const io::TensorView* tensor = file.find(name);
    check(tensor != nullptr, "batch", path.string(), ": missing '", name, "'");
    check(tensor->dtype == detail::dtype_of<T>() &&
              (columns == 1 ? tensor->shape.size() == 1
                            : tensor->shape.size() == 2 && tensor->shape[1] == static_cast<std::int64_t>(columns)),
          "batch", path.string(), ": '", name, "' is ", tensor->dtype, ' ', io::shape_text(tensor->shape),
          ", expected ", detail::dtype_of<T>(), " in rows of ", columns);
    to.resize(static_cast<std::size_t>(tensor->count()));
    if (!to.empty()) std::memcpy(to.data(), tensor->bytes.data(), tensor->bytes.size());
  };
  TrainingBatch<R> batch;
  std::vector<std::int32_t> media, pictures, sequences, ids, phi, targets;
  read(batch.features, "features", 1);
  read(batch.pixels, "pixels", 1);
  read(media, "media", detail::medium_columns);
  read(pictures, "pictures", detail::picture_columns);
  read(sequences, "sequences", detail::sequence_columns);
  read(ids, "ids", 1);
  read(phi, "phi", 1);
  read(targets, "targets", 1);
  for (std::size_t i = 0; i < media.size(); i += detail::medium_columns)
    batch.media.push_back({media[i], media[i + 1], media[i + 2], media[i + 3], media[i + 4]});
  for (std::size_t i = 0; i < pictures.size(); i += detail::picture_columns)
    batch.pictures.push_back({pictures[i], pictures[i + 1], pictures[i + 2]});
  std::size_t token = 0, target = 0;
  const auto take = [&](const std::vector<std::int32_t>& all, std::size_t first, std::int32_t count, const char* what) {
    check(count >= 0 && first + static_cast<std::size_t>(count) <= all.size(), "batch", path.string(), ": sequence ",
          batch.sequences.size(), " has ", count, ' ', what, " from ", first, " on, of ", all.size());
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    return std::vector<int>(begin, begin + count);
  };
  for (std::size_t i = 0; i < sequences.size(); i += detail::sequence_columns) {
    Sequence s{take(ids, token, sequences[i], "tokens"), take(phi, token, sequences[i], "φ"),
               take(targets, target, sequences[i + 1], "targets"), sequences[i + 2], sequences[i + 3]};
    token += s.ids.size();
    target += s.targets.size();
    batch.sequences.push_back(std::move(s));
  }
  check(token == ids.size() && token == phi.size() && target == targets.size(), "batch", path.string(),
        ": its sequences have ", token, " tokens and ", target, " targets, there are ", ids.size(), ", ", phi.size(),
        " φ and ", targets.size());
  return batch;
}

/// For Trainer::refused: writes each batch to FOLDER/refused-STEP-DATASET.safetensors, of a process after the first
/// (`rank`) to FOLDER/refused-STEP-DATASET-RANK.safetensors.
template <class R>
auto keep_refused(std::filesystem::path folder, int rank = 0) {
  return [folder, rank](const TrainingBatch<R>& batch, const std::string& dataset, long step) {
    std::string name = dataset;
    for (char& c : name)
      if (c == '/') c = '_';
    if (rank > 0) name += "-" + std::to_string(rank);
    std::error_code error;  // a folder that cannot be made is one that cannot be written to
    std::filesystem::create_directories(folder, error);
    save_batch(folder / ("refused-" + std::to_string(step) + "-" + name + ".safetensors"), batch,
               {{"dataset", dataset}, {"step", std::to_string(step)}});
  };
}

}  // namespace flamingo
