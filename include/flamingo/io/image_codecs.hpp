/// Pictures decoded by libjpeg-turbo and libpng: several times faster than stb_image, and exactly the pixels that
/// Pillow reads. Component `images`: read_image<io::Codecs>(path).
#pragma once
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

// It speaks of FILE and size_t without an include of its own.
#include <jpeglib.h>

#include <flamingo/io/image.hpp>
#include <flamingo/io/image_decoder.hpp>
#include <flamingo/io/image_file.hpp>

#ifndef LIBJPEG_TURBO_VERSION
#error "flamingo::images needs libjpeg-turbo: other JPEG libraries compute other pixels"
#endif

namespace flamingo::io {

namespace detail {

/// What both libraries share: the input, and the text of the error that ended the last call. They report errors by
/// longjmp, so a function that calls setjmp has nothing to destroy and keeps what it needs in members.
struct CodecState {
  explicit CodecState(std::span<const std::byte> bytes) : file(bytes) {}
  CodecState(const CodecState&) = delete;
  CodecState& operator=(const CodecState&) = delete;

  void say(const char* text) { std::snprintf(message.data(), message.size(), "%s", text); }

  std::span<const std::byte> file;
  std::array<char, 256> message{};
};

class PngReader : CodecState {
 public:
  explicit PngReader(std::span<const std::byte> bytes) : CodecState(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &fail, &ignore);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) say("there is no memory for it");
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  DecodedImage decode(std::int64_t pixels) {
    DecodedImage result;
    if (info_ != nullptr && read_header(result.image)) {
      RawImage& image = result.image;
      const auto row = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(channels(image.mode));
      if (std::int64_t{image.width} * image.height != pixels || png_get_rowbytes(png_, info_) != row) {
        say("its size differs from the header's");
      } else {
        image.samples.resize(row * static_cast<std::size_t>(image.height));
        for (std::size_t at = 0; at < image.samples.size(); at += row) rows_.push_back(image.samples.data() + at);
        read_rows();
      }
    }
    result.problem = message.data();
    return result;
  }

 private:
  /// Reads what stands before the data, and asks for samples of 8 bits with every colour and transparency spelt out.
  bool read_header(RawImage& image) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, &read);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the pixels are counted already
    png_set_chunk_malloc_max(png_, 8 << 20);
    png_read_info(png_, info_);
    const int depth = png_get_bit_depth(png_, info_), colour = png_get_color_type(png_, info_);
    const bool listed = png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
    const bool alpha = listed || (colour & PNG_COLOR_MASK_ALPHA) != 0;
    image.mode = png_mode(depth, colour, alpha);
    image.keyed = png_keyed(colour, alpha);
    image.width = static_cast<int>(png_get_image_width(png_, info_));
    image.height = static_cast<int>(png_get_image_height(png_, info_));
    png_set_expand(png_);
    png_set_strip_16(png_);
    if (image.mode == Mode::palette && !listed) png_set_add_alpha(png_, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  void read_rows() {
    if (setjmp(png_jmpbuf(png_))) return;
    png_read_image(png_, rows_.data());
    png_read_end(png_, nullptr);
  }

  static void read(png_structp png, png_bytep to, std::size_t count) {
    auto& self = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > self.file.size() - self.at_) png_error(png, "the file is truncated");
    std::memcpy(to, self.file.data() + self.at_, count);
    self.at_ += count;
  }
  [[noreturn]] static void fail(png_structp png, png_const_charp text) {
    static_cast<PngReader*>(png_get_error_ptr(png))->say(text);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::size_t at_ = 0;
  std::vector<png_bytep> rows_;
};

class JpegReader : CodecState {
 public:
  explicit JpegReader(std::span<const std::byte> bytes) : CodecState(bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = &fail;
    errors_.output_message = &ignore;
    source_.init_source = [](j_decompress_ptr) {};
    source_.term_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr jpeg) -> boolean { of(jpeg).stop("the file is truncated"); };
    source_.skip_input_data = &skip;
    source_.resync_to_restart = &jpeg_resync_to_restart;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    progress_.progress_monitor = &watch;
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }

  ImageHeader header() {
    if (!read_header()) return {{}, std::string("the header cannot be read: ") + message.data()};
    return {{static_cast<int>(jpeg_.image_width), static_cast<int>(jpeg_.image_height)}, {}};
  }

  DecodedImage decode(int at_least) {
    DecodedImage result;
    if (read_header() && start(static_cast<unsigned>(std::max(at_least, 0)))) {
      RawImage& image = result.image;
      image.mode = jpeg_.out_color_components == 1   ? Mode::grey
                   : jpeg_.out_color_components == 3 ? Mode::rgb
                                                     : Mode::cmyk;
      image.width = static_cast<int>(jpeg_.output_width);
      image.height = static_cast<int>(jpeg_.output_height);
      row_ = std::size_t{jpeg_.output_width} * static_cast<std::size_t>(channels(image.mode));
      image.samples.resize(row_ * std::size_t{jpeg_.output_height});
      next_ = image.samples.data();
      read_rows();
      // Adobe's programs, the only ones that write CMYK, store it inverted; Pillow takes it so whoever wrote it.
      if (image.mode == Mode::cmyk)
        for (std::uint8_t& ink : image.samples) ink = static_cast<std::uint8_t>(255 - ink);
    }
    result.problem = message.data();
    return result;
  }

 private:
  static constexpr int max_scans = 500;  ///< a few bytes can ask for another pass over the whole picture

  bool read_header() {
    if (setjmp(jump_)) return false;
    jpeg_.client_data = this;
    jpeg_create_decompress(&jpeg_);
    jpeg_.src = &source_;
    jpeg_.progress = &progress_;
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool start(unsigned at_least) {
    if (setjmp(jump_)) return false;
    switch (jpeg_.num_components) {
      case 1:
        jpeg_.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        jpeg_.out_color_space = JCS_RGB;
        break;
      case 4:
        jpeg_.out_color_space = JCS_CMYK;
        break;
      default:
        stop("it has neither 1, 3 nor 4 components");
    }
    jpeg_.dct_method = JDCT_ISLOW;
    const unsigned edge = std::min(jpeg_.image_width, jpeg_.image_height);
    for (unsigned down = 8; down > 1 && at_least > 0; down /= 2)
      if ((edge + down - 1) / down >= at_least) {
        jpeg_.scale_num = 1;
        jpeg_.scale_denom = down;
        break;
      }
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  void read_rows() {
    if (setjmp(jump_)) return;
    while (jpeg_.output_scanline < jpeg_.output_height) {
      jpeg_read_scanlines(&jpeg_, &next_, 1);
      next_ += row_;
    }
    jpeg_finish_decompress(&jpeg_);
  }

  template <class Common>
  static JpegReader& of(Common* jpeg) {
    return *static_cast<JpegReader*>(jpeg->client_data);
  }
  [[noreturn]] void stop(const char* text) {
    say(text);
    std::longjmp(jump_, 1);
  }
  [[noreturn]] static void fail(j_common_ptr jpeg) {
    std::array<char, JMSG_LENGTH_MAX> text{};
    jpeg->err->format_message(jpeg, text.data());
    of(jpeg).stop(text.data());
  }
  static void ignore(j_common_ptr) {}
  static void skip(j_decompress_ptr jpeg, long count) {
    if (count <= 0) return;
    jpeg_source_mgr& source = *jpeg->src;
    if (static_cast<std::size_t>(count) > source.bytes_in_buffer) of(jpeg).stop("the file is truncated");
    source.next_input_byte += count;
    source.bytes_in_buffer -= static_cast<std::size_t>(count);
  }
  static void watch(j_common_ptr jpeg) {
    if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > max_scans) of(jpeg).stop("it has too many scans");
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  JSAMPROW next_ = nullptr;
  std::size_t row_ = 0;
};

}  // namespace detail

/// Decodes JPEG with libjpeg-turbo and PNG with libpng; GIF and BMP with stb_image. Warnings of the libraries (extra
/// bytes, damaged comments) are passed over.
struct Codecs {
  static detail::ImageHeader header(std::span<const std::byte> file) {
    return is_jpeg(file) ? detail::JpegReader(file).header() : Stb::header(file);
  }
  static detail::DecodedImage decode(std::span<const std::byte> file, std::int64_t pixels, int at_least) {
    if (is_jpeg(file)) return detail::JpegReader(file).decode(at_least);
    if (detail::png_size(file)) return detail::PngReader(file).decode(pixels);
    return Stb::decode(file, pixels, at_least);
  }

 private:
  static bool is_jpeg(std::span<const std::byte> file) { return detail::starts_with(file, "\xff\xd8"); }
};

}  // namespace flamingo::io
