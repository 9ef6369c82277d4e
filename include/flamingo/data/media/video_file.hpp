/// Videos by FFmpeg: a clip of frames at a rate, out of a file in memory. Component `video`.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/frames.hpp>
#include <flamingo/io/image.hpp>

namespace flamingo {

/// What a video may cost before it is refused.
struct VideoLimits {
  std::size_t bytes = std::size_t{1} << 30;
  std::int64_t pixels = 16'000'000;     ///< of a frame
  std::int64_t decoded = 20'000;        ///< frames decoded for one clip
  std::int64_t total = 40'000'000'000;  ///< pixels decoded for one clip
  std::int64_t packets = 1'000'000;
};

/// A part of a video.
struct VideoClip {
  std::vector<io::Image> frames;  ///< upright, all of one size
  std::vector<double> seconds;    ///< when each is shown, from the video's beginning
  double duration = 0;            ///< of the whole video, in seconds
};

namespace detail {

template <auto Free>
struct FreeByPointer {
  template <class T>
  void operator()(T* object) const {
    Free(&object);
  }
};

/// The bytes that libavformat reads, and where it stands.
struct VideoBytes {
  std::span<const std::byte> file;
  std::size_t at = 0;

  static int read(void* self, std::uint8_t* to, int count) {
    auto& bytes = *static_cast<VideoBytes*>(self);
    const std::size_t n = std::min(static_cast<std::size_t>(std::max(count, 0)), bytes.file.size() - bytes.at);
    if (n == 0) return AVERROR_EOF;
    std::memcpy(to, bytes.file.data() + bytes.at, n);
    bytes.at += n;
    return static_cast<int>(n);
  }
  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& bytes = *static_cast<VideoBytes*>(self);
    const auto size = static_cast<std::int64_t>(bytes.file.size());
    if ((whence & AVSEEK_SIZE) != 0) return size;
    const int from = whence & ~AVSEEK_FORCE;
    const std::int64_t base = from == SEEK_SET ? 0 : from == SEEK_CUR ? static_cast<std::int64_t>(bytes.at) : size;
    if (offset < -base || offset > size - base) return AVERROR(EINVAL);
    bytes.at = static_cast<std::size_t>(base + offset);
    return base + offset;
  }
};

/// What FFmpeg allocated for a video; a member of its own, because a constructor that throws destroys members alone.
struct VideoHandles {
  AVIOContext* io = nullptr;
  AVFormatContext* container = nullptr;
  AVCodecContext* codec = nullptr;
  SwsContext* scaler = nullptr;

  VideoHandles() = default;
  VideoHandles(const VideoHandles&) = delete;
  VideoHandles& operator=(const VideoHandles&) = delete;
  ~VideoHandles() {
    avcodec_free_context(&codec);
    sws_freeContext(scaler);
    close_container();
  }
  void close_container() {
    avformat_close_input(&container);
    if (io != nullptr) av_freep(&io->buffer);
    avio_context_free(&io);
  }
};

/// One video open for decoding. Errors name the file and what FFmpeg said.
class VideoDecoder {
 public:
  VideoDecoder(std::span<const std::byte> file, std::string_view name, const VideoLimits& limits)
      : bytes_{file}, name_(name), limits_(limits) {
    check(file.size() <= limits.bytes, "video", name_, ": the file has ", file.size(), " bytes, at most ", limits.bytes,
          " are read");
    av_log_set_level(AV_LOG_QUIET);  // errors are ours to tell; FFmpeg writes to the host's stderr
    open_container();
    measure();
    open_codec();
  }
  VideoDecoder(const VideoDecoder&) = delete;
  VideoDecoder& operator=(const VideoDecoder&) = delete;

  double duration() const { return duration_; }

  /// The frames that are shown at start, start + 1 / rate and so on, in seconds. A frame is shown until the next one.
  VideoClip clip(double start, double rate, int count) {
    VideoClip clip;
    clip.duration = duration_;
    if (start > 0) seek(start);
    const double tick = av_q2d(stream_->time_base) / 2 + 1e-9;  // times were rounded to the time base
    const auto due = [&] { return start + static_cast<double>(clip.frames.size()) / rate; };
    bool have = false;  // shown_ has a frame
    double shown_at = 0;
    while (static_cast<int>(clip.frames.size()) < count) {
      if (!next_frame()) break;
      const double at = seconds_of(*coming_);
      while (have && static_cast<int>(clip.frames.size()) < count && due() + tick < at) take(clip, shown_at);
      std::swap(shown_, coming_);
      shown_at = at;
      have = true;
    }
    check(have, "video", name_, ": it has no frame that can be decoded");
    // The last frame is shown until the video ends.
    while (static_cast<int>(clip.frames.size()) < count && (clip.frames.empty() || due() < duration_ - tick))
      take(clip, shown_at);
    return clip;
  }

 private:
  using Frame = std::unique_ptr<AVFrame, FreeByPointer<&av_frame_free>>;
  using Packet = std::unique_ptr<AVPacket, FreeByPointer<&av_packet_free>>;

  [[noreturn]] void refuse(std::string_view what, int error = 0) const {
    std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
    if (error != 0) av_strerror(error, text.data(), text.size());
    fail("video", name_, ": ", what, error != 0 ? " (" + std::string(text.data()) + ")" : "");
  }

  void open_container() {
    constexpr int buffer_size = 1 << 15;
    auto* buffer = static_cast<std::uint8_t*>(av_malloc(buffer_size));
    io_ = avio_alloc_context(buffer, buffer_size, 0, &bytes_, &VideoBytes::read, nullptr, &VideoBytes::seek);
    container_ = avformat_alloc_context();
    if (io_ == nullptr || container_ == nullptr) refuse("there is no memory for it");
    container_->pb = io_;
    container_->flags |= AVFMT_FLAG_CUSTOM_IO;
    // A playlist in a shard must not make us open files or addresses: containers that hold their own data alone.
    container_->format_whitelist =
        av_strdup("mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,ogg,asf");
    container_->protocol_whitelist = av_strdup("");
    container_->max_streams = 64;
    container_->probesize = 1 << 20;
    int error = avformat_open_input(&container_, nullptr, nullptr, nullptr);  // frees the container where it fails
    if (error < 0) refuse("it is no video of a known container", error);
    error = avformat_find_stream_info(container_, nullptr);
    if (error < 0) refuse("its streams cannot be read", error);
    const AVCodec* codec = nullptr;
    index_ = av_find_best_stream(container_, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (index_ < 0) refuse("it has no stream of pictures that can be decoded", index_);
    stream_ = container_->streams[index_];
    begin_ = stream_->start_time == AV_NOPTS_VALUE ? 0 : stream_->start_time;
    check(stream_->time_base.num > 0 && stream_->time_base.den > 0 && std::abs(begin_) < std::int64_t{1} << 60, "video",
          name_, ": its times make no sense");
    for (unsigned i = 0; i < container_->nb_streams; ++i)
      if (static_cast<int>(i) != index_) container_->streams[i]->discard = AVDISCARD_ALL;
  }

  void open_codec() {
    const AVCodecParameters& parameters = *stream_->codecpar;
    check_size(parameters.width, parameters.height);
    const AVCodec* decoder = avcodec_find_decoder(parameters.codec_id);
    codec_ = decoder != nullptr ? avcodec_alloc_context3(decoder) : nullptr;
    if (codec_ == nullptr) refuse("no decoder is there for its pictures");
    int error = avcodec_parameters_to_context(codec_, &parameters);
    codec_->thread_count = 1;  // several videos are decoded at a time
    codec_->max_pixels = limits_.pixels;
    if (error >= 0) error = avcodec_open2(codec_, decoder, nullptr);
    if (error < 0) refuse("its decoder cannot be opened", error);
    packet_.reset(av_packet_alloc());
    coming_.reset(av_frame_alloc());
    shown_.reset(av_frame_alloc());
    if (!packet_ || !coming_ || !shown_) refuse("there is no memory for it");
  }

  void check_size(int width, int height) const {
    check(width >= 0 && height >= 0 && std::int64_t{width} * height <= limits_.pixels, "video", name_,
          ": its frames are ", width, " x ", height, ", at most ", limits_.pixels, " pixels are decoded");
  }

  /// The length in seconds: the stream's, the container's, or, where neither tells, the end of the last packet.
  void measure() {
    const double base = av_q2d(stream_->time_base);
    if (stream_->duration > 0) {
      duration_ = static_cast<double>(stream_->duration) * base;
    } else if (container_->duration > 0) {
      duration_ = static_cast<double>(container_->duration) / AV_TIME_BASE;
    } else {
      std::int64_t end = begin_;
      const Packet packet(av_packet_alloc());
      for (std::int64_t n = 0; packet && n < limits_.packets && av_read_frame(container_, packet.get()) >= 0; ++n) {
        if (packet->stream_index == index_ && packet->pts != AV_NOPTS_VALUE && packet->pts < INT64_MAX / 2)
          end = std::max(end, packet->pts + std::clamp<std::int64_t>(packet->duration, 0, INT64_MAX / 4));
        av_packet_unref(packet.get());
      }
      duration_ = static_cast<double>(end - begin_) * base;
      handles_.close_container();  // not every container finds its way back
      bytes_.at = 0;
      open_container();
    }
    if (!(duration_ >= 0) || duration_ > 1e7) duration_ = 0;  // nonsense: one frame is taken
  }

  /// To the last key frame before a time. Where a container has no way to it, decoding begins at the beginning.
  void seek(double start) {
    const double ticks = start / av_q2d(stream_->time_base);
    if (ticks < 9e15)
      av_seek_frame(container_, index_, begin_ + static_cast<std::int64_t>(ticks), AVSEEK_FLAG_BACKWARD);
  }

  double seconds_of(const AVFrame& frame) {
    // A frame without a time follows the one before it.
    if (frame.best_effort_timestamp == AV_NOPTS_VALUE) {
      const double rate = av_q2d(stream_->avg_frame_rate);
      last_ += rate > 0 ? 1 / rate : 0.04;
    } else {
      last_ =
          (static_cast<double>(frame.best_effort_timestamp) - static_cast<double>(begin_)) * av_q2d(stream_->time_base);
    }
    return last_;
  }

  /// Decodes the next frame into coming_; false at the end. Damage in the middle is passed over, as players do.
  bool next_frame() {
    while (true) {
      const int got = avcodec_receive_frame(codec_, coming_.get());
      if (got >= 0) {
        check_size(coming_->width, coming_->height);
        pixels_ += std::int64_t{coming_->width} * coming_->height;
        if (++decoded_ > limits_.decoded || pixels_ > limits_.total)
          refuse("a clip of it takes more frames than allowed");
        return true;
      }
      if (got == AVERROR_EOF || draining_) return false;
      feed();
    }
  }

  /// Gives the decoder a packet, or the end.
  void feed() {
    for (bool sent = false; !sent; av_packet_unref(packet_.get())) {
      if (++packets_ > limits_.packets) refuse("it has more packets than allowed");
      if (av_read_frame(container_, packet_.get()) < 0) {
        avcodec_send_packet(codec_, nullptr);
        draining_ = true;
        return;
      }
      sent = packet_->stream_index == index_ && avcodec_send_packet(codec_, packet_.get()) >= 0;
    }
  }

  /// shown_ as RGB, turned upright, at the end of the clip.
  void take(VideoClip& clip, double at) {
    const AVFrame& frame = *shown_;
    const int width = frame.width, height = frame.height;
    const auto format = static_cast<AVPixelFormat>(frame.format);
    scaler_ = sws_getCachedContext(scaler_, width, height, format, width, height, AV_PIX_FMT_RGBA,
                                   SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr);
    if (scaler_ == nullptr) refuse("its pixels are of a kind that cannot be read");
    // libswscale writes whole vectors: lines are longer than the picture, and the buffer than its lines.
    const int line = (4 * width + 63) / 64 * 64;
    io::RawImage raw{.width = width, .height = height, .mode = io::Mode::rgba, .samples = {}};
    std::vector<std::uint8_t> buffer(static_cast<std::size_t>(line) * static_cast<std::size_t>(height) + 64);
    std::uint8_t* const planes[4] = {buffer.data(), nullptr, nullptr, nullptr};
    const int lines[4] = {line, 0, 0, 0};
    if (sws_scale(scaler_, frame.data, frame.linesize, 0, height, planes, lines) != height)
      refuse("its frames cannot be made RGB");
    for (int y = 0; y < height; ++y) {
      const auto row = buffer.begin() + std::ptrdiff_t{y} * line;
      raw.samples.insert(raw.samples.end(), row, row + std::ptrdiff_t{4} * width);
    }
    io::Image image = io::over(io::upright(std::move(raw), orientation()));
    check(clip.frames.empty() || (image.width == clip.frames[0].width && image.height == clip.frames[0].height),
          "video", name_, ": its frames change from ", clip.frames.empty() ? 0 : clip.frames[0].width, " x ",
          clip.frames.empty() ? 0 : clip.frames[0].height, " to ", image.width, " x ", image.height);
    clip.frames.push_back(std::move(image));
    clip.seconds.push_back(std::max(at, 0.0));
  }

  /// EXIF's number of the quarter turns that a telephone wrote beside its video.
  int orientation() const {
    const auto* matrix =
        reinterpret_cast<const std::int32_t*>(av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
    const double angle = matrix != nullptr ? av_display_rotation_get(matrix) : 0;
    if (std::isnan(angle)) return 1;
    const int turns = static_cast<int>(std::lround(angle / 90)) & 3;  // to the left
    return turns == 0 ? 1 : turns == 1 ? 8 : turns == 2 ? 3 : 6;
  }

  VideoBytes bytes_;
  std::string name_;
  VideoLimits limits_;
  VideoHandles handles_;
  AVIOContext*& io_ = handles_.io;
  AVFormatContext*& container_ = handles_.container;
  AVCodecContext*& codec_ = handles_.codec;
  SwsContext*& scaler_ = handles_.scaler;
  AVStream* stream_ = nullptr;
  int index_ = -1;
  Packet packet_;
  Frame coming_, shown_;
  std::int64_t begin_ = 0, decoded_ = 0, pixels_ = 0, packets_ = 0;
  double duration_ = 0, last_ = 0;
  bool draining_ = false;
};

}  // namespace detail

/// A clip of an MP4, WebM, Matroska, AVI, MPEG, Ogg, FLV or GIF video: the frames that clip_of() chooses, by their
/// times. A video shorter than the clip gives fewer, at least one. Throws Error, with the name, for what is no such
/// video, a damaged one without a frame, and beyond the limits.
inline VideoClip read_video(std::span<const std::byte> file, std::string_view name,
                            const FrameSampling& sampling = training_frames, double place = 0.5,
                            const VideoLimits& limits = {}) {
  check(sampling.rate > 0 && sampling.frames > 0 && place >= 0 && place <= 1, "video", name, ": a clip of ",
        sampling.frames, " frames at ", sampling.rate, " a second and place ", place,
        ", expected more than 0 of both and a place between 0 and 1");
  detail::VideoDecoder decoder(file, name, limits);
  // A length of 7.999 s is one of 8 s that its time base rounded.
  const double all = std::floor(decoder.duration() * sampling.rate + 1e-3);
  const int count = static_cast<int>(std::clamp(all, 1.0, static_cast<double>(sampling.frames)));
  const double spare = std::max(0.0, all - count);
  const double first = std::min(std::floor(place * (spare + 1)), spare);
  return decoder.clip(first / sampling.rate, sampling.rate, count);
}

/// For MediaReaders.
inline std::function<std::vector<io::Image>(std::span<const std::byte>, std::string_view, const FrameSampling&, double)>
video_reader(VideoLimits limits = {}) {
  return [limits](std::span<const std::byte> file, std::string_view name, const FrameSampling& sampling, double place) {
    return read_video(file, name, sampling, place, limits).frames;
  };
}

}  // namespace flamingo
