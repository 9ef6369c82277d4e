// check_images PATH...: compares pictures and what the published preprocessings make of them with reference data. A
// PATH is a file or a folder, searched with those below it; of the safetensors files those are taken whose `case`
// begins with "images" (NAME.safetensors beside the picture NAME, sizes in the tensors' names, mean and deviation in
// images.json beside them). One line a file: the worst error, in 8-bit levels, of decoding, of 8-bit results and of
// scaled pixels. Exit status 1 when one is too large: 0 for 8 bits, 1 for the decoding of JPEGs, 0.001 for scaled
// pixels.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/data/idefics_prompt.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>
#include <flamingo/model/vision/processors.hpp>

namespace fs = std::filesystem;
using namespace flamingo;

namespace {

std::string metadata(const io::Safetensors& file, std::string_view name) {
  for (const auto& [key, text] : file.metadata())
    if (key == name) return text;
  return {};
}

/// Worst errors in 8-bit levels, how many ids and masks are wrong, and how many tensors were compared.
struct Errors {
  double decoded = 0, bytes = 0, pixels = 0;
  int wrong = 0, tensors = 0;
};

/// The picture as the reference holds it: the samples of `in.raw` where that has them in the file's own mode.
io::RawImage reference_picture(const io::Safetensors& file, const io::RawImage& decoded) {
  io::RawImage raw = decoded;
  const io::TensorView* tensor = file.find("in.raw");
  if (tensor != nullptr && tensor->bytes.size() == raw.samples.size())
    for (std::size_t i = 0; i < raw.samples.size(); ++i)
      raw.samples[i] = std::to_integer<std::uint8_t>(tensor->bytes[i]);
  return raw;
}

/// The largest difference of bytes; `planar`: the tensor is (channels, height, width).
double difference(const io::TensorView& tensor, const std::vector<std::uint8_t>& ours, bool planar) {
  check(tensor.dtype == io::DType::u8 && tensor.bytes.size() == ours.size(), "check_images", tensor.name, " is ",
        tensor.dtype, " with ", tensor.bytes.size(), " bytes, ours has ", ours.size());
  const std::size_t plane = ours.size() / 3;
  int worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const int theirs = std::to_integer<int>(tensor.bytes[planar ? i % 3 * plane + i / 3 : i]);
    worst = std::max(worst, std::abs(theirs - ours[i]));
  }
  return worst;
}

/// The largest difference, in levels, of rows of 3 from a tensor whose last three extents are (3, height, width), from
/// element `first` on.
double difference(const io::TensorView& tensor, const std::vector<float>& rows, const PixelScale& scale,
                  std::size_t first = 0) {
  std::vector<float> theirs(static_cast<std::size_t>(tensor.count()));
  check(first + rows.size() <= theirs.size(), "check_images", tensor.name, " has ", theirs.size(),
        " numbers, expected at least ", first + rows.size());
  io::convert(tensor, std::span<float>(theirs));
  const std::size_t plane = rows.size() / 3;
  double worst = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double apart = std::abs(double{theirs[first + i % 3 * plane + i / 3]} - double{rows[i]});
    const double levels = apart * double{scale.deviation[i % 3]} / scale.unit;
    if (!(levels <= worst)) worst = levels;  // a NaN, too
  }
  return worst;
}

/// CLIP's mean and deviation, or those that images.json states for `prefix`.
PixelScale scale_of(const fs::path& folder, const std::string& prefix) {
  PixelScale scale = PixelScale::clip();
  if (!fs::exists(folder / "images.json")) return scale;
  const io::MappedFile file(folder / "images.json");
  const io::Json json = io::Json::parse(file.text(), file.path().string());
  const auto read = [&](const std::string& name, std::array<float, 3>& to) {
    const io::Json* found = json.find(name);
    if (found == nullptr) return;
    check(found->as_array().size() == 3, "check_images", name, " has not 3 numbers");
    for (std::size_t c = 0; c < 3; ++c) to[c] = static_cast<float>(found->as_array()[c].as_double());
  };
  read(prefix + "_mean", scale.mean);
  read(prefix + "_std", scale.deviation);
  return scale;
}

/// Splits "resize.bicubic.150x170" at its dots.
std::vector<std::string> words(const std::string& name) {
  std::vector<std::string> all{""};
  for (const char c : name) {
    if (c == '.')
      all.emplace_back();
    else
      all.back() += c;
  }
  return all;
}

int number(const std::string& text) {
  int value = 0;
  check(std::sscanf(text.c_str(), "%d", &value) == 1, "check_images", "'", text, "' is no size");
  return value;
}

Errors check_picture(const io::Safetensors& file) {
  const fs::path folder = file.path().parent_path();
  const std::string picture = io::Json::parse(metadata(file, "config")).at("image").as_string();
  const io::RawImage decoded = io::read_raw<io::Codecs>(folder / picture, {.upright = false});
  const io::RawImage raw = reference_picture(file, decoded);
  static const std::map<std::string, io::Filter> filters{{"nearest", io::Filter::nearest},
                                                         {"box", io::Filter::box},
                                                         {"bilinear", io::Filter::bilinear},
                                                         {"bicubic", io::Filter::bicubic},
                                                         {"lanczos", io::Filter::lanczos}};
  Errors errors;
  for (const io::TensorView& tensor : file.tensors()) {
    const std::vector<std::string> name = words(tensor.name);
    const auto is = [&](std::string_view first) { return name.size() == 3 && name[0] == first; };
    const auto compare = [&](const auto& processor) {
      if (name[1] == "uint8")
        errors.bytes = std::max(errors.bytes, difference(tensor, processor(raw).rgb, true));
      else if (name[1] == "pixel_values")
        errors.pixels = std::max(errors.pixels, difference(tensor, pixel_rows(processor, raw), processor.scale));
      else
        fail("check_images", "nobody knows what '", tensor.name, "' is");
    };
    ++errors.tensors;
    if (tensor.name == "in.raw") {
      const io::RawImage plain = io::without_key(decoded);
      const bool own = tensor.bytes.size() == plain.samples.size();
      errors.decoded = difference(tensor, own ? plain.samples : io::to_rgb(decoded).rgb, false);
    } else if (tensor.name == "in.rgb") {
      errors.bytes = std::max(errors.bytes, difference(tensor, io::to_rgb(raw).rgb, false));
    } else if (is("resize")) {
      check(filters.contains(name[1]), "check_images", tensor.name, ": there is no such filter");
      const int width = number(name[2]), height = number(name[2].substr(name[2].find('x') + 1));
      const io::RawImage resized = io::resize(raw, width, height, filters.at(name[1]));
      errors.bytes = std::max(errors.bytes, difference(tensor, resized.samples, false));
    } else if (is("clip")) {
      const int side = number(name[2]);
      compare(ClipImageProcessor{.edge = side, .crop = side, .scale = scale_of(folder, "clip")});
    } else if (is("openclip")) {
      compare(OpenClipTransform{.side = number(name[2]), .scale = scale_of(folder, "clip")});
    } else if (is("idefics")) {
      compare(IdeficsImageProcessor{.side = number(name[2]), .scale = scale_of(folder, "idefics")});
    } else {
      fail("check_images", "nobody knows what '", tensor.name, "' is");
    }
  }
  check(errors.tensors > 0, "check_images", "it has no tensors");
  return errors;
}

/// Integers of a tensor of the given shape.
std::vector<int> integers(const io::TensorView& tensor, const std::vector<std::int64_t>& shape) {
  check(tensor.dtype == io::DType::i64 &&
            std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()),
        "check_images", tensor.name, " is ", tensor.dtype, ' ', io::shape_text(tensor.shape), ", expected i64 ",
        io::shape_text(shape));
  std::vector<int> all(static_cast<std::size_t>(tensor.count()));
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<int>(io::detail::load<std::int64_t>(tensor.bytes.data() + 8 * i));
  return all;
}

int count_differences(const std::vector<int>& a, const std::vector<int>& b) {
  int count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += a[i] != b[i];
  return count;
}

Errors check_prompts(const io::Safetensors& file) {
  const fs::path folder = file.path().parent_path();
  const io::Json config = io::Json::parse(metadata(file, "config"));
  const io::Tokenizer tokenizer =
      io::Tokenizer::from_folder(folder / "tokenizers" / config.at("tokenizer").as_string());
  const bool left = config.at("padding_side").as_string() == "left";
  const auto padding = tokenizer.find(config.at("pad_token").as_string()), end = tokenizer.eos();
  check(padding.has_value() && end.has_value(), "check_images", "the tokenizer has no end or padding token");
  std::vector<Document> documents;
  std::vector<Sequence> sequences;
  std::size_t tokens = 0, images = 1;
  for (const io::Json& prompt : config.at("prompts").as_array()) {
    Document& document = documents.emplace_back();
    for (const io::Json& part : prompt.as_array()) {
      const std::string& text = part.as_string();
      text.starts_with('@') ? document.image(text.substr(1)) : document.text(text);
    }
    const bool utterances = config.at("add_end_of_utterance_token").as_bool();
    sequences.push_back(idefics_sequence(document, tokenizer, {.end_utterances = utterances}));
    tokens = std::max(tokens, sequences.back().ids.size());
    images = std::max(images, document.media().size());
  }
  // A batch as the reference has it: padded, one mask for each image. Padding at the right still sees the last image.
  std::vector<int> ids, mask, seen;
  for (const Sequence& s : sequences) {
    std::vector<int> row = s.ids, phi = s.phi, real(s.ids.size(), 1);
    const auto pad = [&](std::vector<int>& to, int value) {
      to.insert(left ? to.begin() : to.end(), tokens - to.size(), value);
    };
    pad(row, *padding);
    pad(phi, left ? 0 : s.media);
    pad(real, 0);
    int closed = -1;
    for (const int image : seen_phi({.end_of_document = *end}, row, phi, closed))
      for (std::size_t m = 0; m < images; ++m) seen.push_back(image == static_cast<int>(m) + 1);
    ids.insert(ids.end(), row.begin(), row.end());
    mask.insert(mask.end(), real.begin(), real.end());
  }
  const auto rows = static_cast<std::int64_t>(sequences.size()), wide = static_cast<std::int64_t>(tokens);
  Errors errors;
  for (const io::TensorView& tensor : file.tensors()) {
    ++errors.tensors;
    if (tensor.name == "out.input_ids") {
      errors.wrong += count_differences(integers(tensor, {rows, wide}), ids);
    } else if (tensor.name == "out.attention_mask") {
      errors.wrong += count_differences(integers(tensor, {rows, wide}), mask);
    } else if (tensor.name == "out.image_attention_mask") {
      errors.wrong += count_differences(integers(tensor, {rows, wide, static_cast<std::int64_t>(images)}), seen);
    } else if (tensor.name == "out.pixel_values") {
      const int side = static_cast<int>(config.at("image_size").as_integer());
      const IdeficsImageProcessor processor{.side = side, .scale = scale_of(folder / "images", "idefics")};
      std::size_t row = 0;
      for (const Document& document : documents) {
        std::size_t first = row++ * images;
        for (const Document::Part* part : document.media()) {
          const io::RawImage raw = io::read_raw<io::Codecs>(folder / "images" / part->frames[0], {.upright = false});
          const auto area = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
          const auto rows_of = pixel_rows(processor, raw);
          errors.pixels = std::max(errors.pixels, difference(tensor, rows_of, processor.scale, first++ * area * 3));
        }
      }
    } else {
      fail("check_images", "nobody knows what '", tensor.name, "' is");
    }
  }
  check(errors.tensors > 0, "check_images", "it has no tensors");
  return errors;
}

/// Checks one file and prints its line; true when all is well. Files of other kinds are passed over.
bool check_file(const fs::path& path, int& files) {
  try {
    const io::Safetensors file(path);
    const std::string kind = metadata(file, "case");
    const bool prompts = kind.starts_with("idefics_processor");
    if (!prompts && !kind.starts_with("images")) return true;
    ++files;
    const Errors errors = prompts ? check_prompts(file) : check_picture(file);
    const bool jpeg = path.string().ends_with(".jpg.safetensors") || path.string().ends_with(".jpeg.safetensors");
    const bool good =
        errors.decoded <= (jpeg ? 1 : 0) && errors.bytes == 0 && errors.pixels <= 1e-3 && errors.wrong == 0;
    std::printf("%-6s %s: decoded %g, bytes %g, pixels %.2g levels, %d ids and masks wrong (%d tensors)\n",
                good ? "agrees" : "DIFFERS", path.filename().c_str(), errors.decoded, errors.bytes, errors.pixels,
                errors.wrong, errors.tensors);
    return good;
  } catch (const std::exception& error) {
    ++files;
    std::printf("FAILS  %s: %s\n", path.filename().c_str(), error.what());
    return false;
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: check_images PATH...\n");
    return 2;
  }
  std::vector<fs::path> paths;
  for (int i = 1; i < count; ++i) {
    if (!fs::is_directory(arguments[i])) {
      paths.emplace_back(arguments[i]);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(arguments[i]))
      if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  int files = 0;
  bool good = true;
  for (const fs::path& path : paths) good = check_file(path, files) && good;
  if (files == 0) std::printf("FAILS  there is no file of pictures\n");
  return good && files > 0 ? 0 : 1;
}
