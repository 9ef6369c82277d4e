/// Writes small JPEG files for the tests, in colour spaces that few programs write.
#pragma once
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// It speaks of FILE and size_t without an include of its own.
#include <jpeglib.h>

#include <flamingo/io/image.hpp>

namespace flamingo::tests {

/// Quality 95, colours not subsampled. `stored`: the file's colour space (JCS_GRAYSCALE, JCS_YCbCr, JCS_CMYK,
/// JCS_YCCK).
inline std::string jpeg(const io::RawImage& raw, J_COLOR_SPACE stored) {
  jpeg_compress_struct out{};
  jpeg_error_mgr errors{};
  out.err = jpeg_std_error(&errors);
  jpeg_create_compress(&out);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&out, &buffer, &size);
  out.image_width = static_cast<JDIMENSION>(raw.width);
  out.image_height = static_cast<JDIMENSION>(raw.height);
  out.input_components = io::channels(raw.mode);
  out.in_color_space = raw.mode == io::Mode::cmyk ? JCS_CMYK : raw.mode == io::Mode::grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&out);
  jpeg_set_colorspace(&out, stored);
  jpeg_set_quality(&out, 95, TRUE);
  for (int c = 0; c < out.num_components; ++c) out.comp_info[c].h_samp_factor = out.comp_info[c].v_samp_factor = 1;
  jpeg_start_compress(&out, TRUE);
  std::vector<unsigned char> row;
  for (int y = 0; y < raw.height; ++y) {
    const std::ptrdiff_t wide = std::ptrdiff_t{raw.width} * out.input_components;
    row.assign(raw.samples.begin() + y * wide, raw.samples.begin() + (y + 1) * wide);
    if (raw.mode == io::Mode::cmyk)
      for (unsigned char& ink : row) ink = static_cast<unsigned char>(255 - ink);  // as Adobe's programs do
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&out, &line, 1);
  }
  jpeg_finish_compress(&out);
  jpeg_destroy_compress(&out);
  std::string file(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return file;
}

}  // namespace flamingo::tests
