#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <flamingo/io/image_file.hpp>
#include <flamingo/io/resize.hpp>
#include <flamingo/io/safetensors.hpp>

#include "files.hpp"
#include "pictures.hpp"

namespace resize_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

const std::map<std::string, Filter> filters{{"nearest", Filter::nearest},
                                            {"box", Filter::box},
                                            {"bilinear", Filter::bilinear},
                                            {"bicubic", Filter::bicubic},
                                            {"lanczos", Filter::lanczos}};

/// Checks every tensor "PREFIX FILTER.WIDTHxHEIGHT" of a file against resize(); says how many there were.
int check_resizes(const Safetensors& file, const std::string& prefix, const RawImage& raw) {
  int count = 0;
  for (const TensorView& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix)) continue;
    const std::string rest = tensor.name.substr(prefix.size());
    const auto filter = filters.find(rest.substr(0, rest.find('.')));
    if (filter == filters.end()) continue;
    CAPTURE(tensor.name);
    const RawImage expected = samples(tensor, raw.mode);
    CHECK((resize(raw, expected.width, expected.height, filter->second) == expected));
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("photographs are resized as Pillow does it, bit for bit", "[io][resize]") {
  const Safetensors expected(pictures / "expected.safetensors");
  CHECK(check_resizes(expected, "astronaut_gray.png.resize.", read_raw(pictures / "astronaut_gray.png")) == 7);
  CHECK(check_resizes(expected, "cat.png.resize.", read_raw(pictures / "cat.png")) == 4);
}

TEST_CASE("every filter in every mode is Pillow's, bit for bit", "[io][resize]") {
  const Safetensors expected(pictures / "pillow.safetensors");
  CHECK(check_resizes(expected, "L.", samples(expected.at("L.in"), Mode::grey)) == 20);
  CHECK(check_resizes(expected, "LA.", samples(expected.at("LA.in"), Mode::grey_alpha)) == 20);
  CHECK(check_resizes(expected, "RGB.", samples(expected.at("RGB.in"), Mode::rgb)) == 20);
  CHECK(check_resizes(expected, "RGBA.", samples(expected.at("RGBA.in"), Mode::rgba)) == 20);
  CHECK(check_resizes(expected, "CMYK.", samples(expected.at("CMYK.in"), Mode::cmyk)) == 20);
  CHECK(check_resizes(expected, "1.", samples(expected.at("1.in"), Mode::bilevel)) == 1);
}

TEST_CASE("palette pictures take the nearest pixel, keyed ones lose their key", "[io][resize]") {
  RawImage raw = samples(Safetensors(pictures / "pillow.safetensors").at("RGBA.in"), Mode::rgba);
  raw.mode = Mode::palette;
  RawImage as_rgba = raw;
  as_rgba.mode = Mode::rgba;
  CHECK(resize(raw, 9, 31).samples == resize(as_rgba, 9, 31, Filter::nearest).samples);
  as_rgba.keyed = true;
  const RawImage resized = resize(as_rgba, 9, 31);
  CHECK(resized.mode == Mode::rgb);
  CHECK((resized == resize(raw_of(to_rgb(as_rgba)), 9, 31)));
}

TEST_CASE("resizing keeps what it must", "[io][resize]") {
  const Image flat{7, 5, std::vector<std::uint8_t>(105, 201)};
  for (const auto& [name, filter] : filters) {
    CAPTURE(name);
    CHECK(resize(flat, 3, 11, filter).rgb == std::vector<std::uint8_t>(99, 201));
    CHECK((resize(flat, 7, 5, filter) == flat));
  }
  CHECK_THAT(error_of([&] { resize(flat, 0, 3); }), Catch::Contains("got the size 0 x 3, expected at least 1 x 1"));
  CHECK_THAT(error_of([&] { resize(flat, 1 << 30, 2); }), Catch::Contains("at most 2^30 pixels"));
  CHECK_THAT(error_of([&] { resize(Image{}, 3, 3); }), Catch::Contains("the picture is 0 x 0 with 0 bytes"));
}

}  // namespace resize_test
