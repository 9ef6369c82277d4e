#include "ablations/task.hpp"

#include <algorithm>
#include <map>
#include <sstream>

#include <flamingo/core/random.hpp>
#include <flamingo/data/sampling.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/io/resize.hpp>
#include <flamingo/model/vision/preprocess.hpp>

namespace flamingo::test {

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> common{"<bos>", "<image>", "a", "picture", "of", "this", "is", "."};
enum Word { a = 2, picture = 3, of = 4, that = 5, is = 6, stop = 7 };

std::vector<double> view_of(const io::Image& image, Random& draw, bool whole) {
  io::Image square = io::pad_to_square(image);
  if (!whole) {
    const int all = square.width, edge = all * 3 / 4 + draw.below(all / 4 + 1);
    square = io::crop(square, draw.below(all - edge + 1), draw.below(all - edge + 1), edge, edge);
    if (draw.below(2)) square = io::flip_horizontal(square);
  }
  std::vector<double> rows =
      scaled_rows<double>(io::resize(square, Pictures::side, Pictures::side), PixelScale::imagenet());
  const double light = whole ? 0 : 0.3 * (2 * static_cast<double>(draw.uniform()) - 1);
  for (double& x : rows) x += light;
  return rows;
}

void put(DocumentTokens& d, const std::vector<int>& ids, bool asked) {
  d.ids.insert(d.ids.end(), ids.begin(), ids.end());
  d.asked.resize(d.ids.size(), asked);
  d.tag.resize(d.ids.size(), false);
}
void put_tag(DocumentTokens& d) {
  d.places.push_back(d.size());
  put(d, {image_tag}, false);
  d.tag.back() = true;
}

std::vector<int> joined(std::initializer_list<std::vector<int>> parts) {
  std::vector<int> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Puts a medium of some views of a picture into a batch.
void show(MiniBatch& batch, const Sight& sight, int picture, const std::vector<int>& views, int place) {
  int first = 0;
  for (const Medium& m : batch.media) first += m.rows;
  const int frames = static_cast<int>(views.size());
  batch.media.push_back({first, frames * sight.cells, frames, place});
  for (const int v : views) {
    const auto at = static_cast<std::size_t>(picture * Pictures::views + v);
    const auto& from = sight.features ? (*sight.features)[at] : sight.pictures->pixels[at];
    auto& to = sight.features ? batch.features : batch.pixels;
    if (!sight.features) batch.pictures.push_back({static_cast<int>(to.size()) / 3, Pictures::side, Pictures::side});
    to.insert(to.end(), from.begin(), from.end());
  }
}

}  // namespace

Pictures::Pictures(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".png" || entry.path().extension() == ".jpg") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  files.resize(std::min<std::size_t>(files.size(), taught));
  std::map<std::string, int> words;
  for (std::size_t i = 0; i < common.size(); ++i) words[common[i]] = static_cast<int>(i);
  for (const fs::path& file : files) {
    std::string stem = file.stem().string(), word;
    std::replace(stem.begin(), stem.end(), '_', ' ');
    std::vector<int> name;
    for (std::istringstream text(stem); text >> word;)
      name.push_back(words.emplace(word, static_cast<int>(words.size())).first->second);
    names.push_back(name);
    const io::Image image = io::read_image(file);
    Random draw(20221128, hash(file.filename().string()));
    for (int v = 0; v < views; ++v) pixels.push_back(view_of(image, draw, v == 0));
  }
  check(static_cast<int>(words.size()) <= eoc, "pictures", "their names have ", words.size(), " words, at most ", eoc);
}

const Pictures& packaged_pictures() {
  static const Pictures all(fs::path(FLAMINGO_TEST_DATA) / "../examples/pictures");
  return all;
}

MiniBatch documents(const Sight& sight, std::string_view dataset, std::uint64_t stream, int count, float p_next,
                    bool held_out, int shift) {
  MiniBatch batch;
  Random draw(hash(dataset) + held_out, stream);
  const auto view = [&] {
    return held_out ? Pictures::shown + draw.below(Pictures::views - Pictures::shown) : draw.below(Pictures::shown);
  };
  const auto name = [&](int p) { return sight.pictures->names[static_cast<std::size_t>(p)]; };
  const auto seen = [&](int p) { return (p + shift) % sight.pictures->count(); };
  const auto a_name = [&] { return name(draw.below(sight.pictures->count())); };
  for (int d = 0; d < count; ++d) {
    DocumentTokens g;
    const int first_medium = static_cast<int>(batch.media.size());
    put(g, {bos}, false);
    bool next = false;
    // Held out are all pictures in turn.
    const int p = held_out ? (static_cast<int>(stream) * count + d) % sight.pictures->count()
                           : draw.below(sight.pictures->count());
    if (dataset == "M3W") {
      const bool before = !held_out && draw.below(2) == 0;
      for (int place = 0; place < 2; ++place) {
        const int shown = place ? draw.below(sight.pictures->count()) : p;
        if (before) put(g, joined({{a}, name(shown), {stop, eoc}}), true);
        put_tag(g);
        show(batch, sight, seen(shown), {view()}, place);
        if (!before) put(g, joined({{a}, name(shown), {stop, eoc}}), true);
      }
      next = draw.uniform() < p_next;
    } else if (dataset == "VTP") {
      put_tag(g);
      show(batch, sight, seen(p), {view(), view(), view()}, 0);
      put(g, joined({{that, is, a}, name(p), {eoc}}), true);
    } else if (dataset == "MassiveText") {
      for (int i = 0; i < 3; ++i)
        put(g, i % 2 ? joined({{a, picture, of}, a_name(), {stop}}) : joined({{that, is, a}, a_name(), {stop}}), true);
    } else if (dataset == "C4") {
      for (int i = 0; i < 4; ++i) put(g, joined({a_name(), {stop}}), true);
    } else {
      put_tag(g);
      show(batch, sight, seen(p), {view()}, 0);
      put(g, dataset == "LTIP" ? joined({{a, picture, of}, name(p), {eoc}}) : joined({name(p), {eoc}}), true);
    }
    batch.sequences.push_back(window_of(g, 0, g.size(), 2, next).sequence);
    batch.sequences.back().first_medium = first_medium;
  }
  return batch;
}

MiniBatch held_out(const Sight& sight, int shift) {
  const int all = sight.pictures->count();
  MiniBatch batch = documents(sight, "ALIGN", 0, all, 0, true, shift);
  batch.append(documents(sight, "LTIP", 1, all, 0, true, shift));
  batch.append(documents(sight, "M3W", 2, all / 2, 0, true, shift));
  return batch;
}

int mini_count(const presets::Share& share) {
  return share.dataset == "M3W" ? 3 : share.dataset == "VTP" ? 2 : share.dataset == "LAION-400M" ? 16 : 8;
}

}  // namespace flamingo::test
