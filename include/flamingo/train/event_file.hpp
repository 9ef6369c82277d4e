/// Event files as TensorBoard reads them: records of protocol buffers, each with its length and checksums.
///
///   record = length (u64), masked CRC-32C of the length, Event, masked CRC-32C of the Event      little-endian
///   Event = {1: wall time (double), 2: step (int64), 3: file version | 5: Summary | 7: SessionLog}
///   Summary = {1: Value {1: tag, 2: number (float)}, ...}      SessionLog = {1: status, 1 = START}
///
/// TensorFlow's record_writer.cc, event.proto and summary.proto.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/core/check.hpp>
#include <flamingo/io/checksum.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/train/measures.hpp>

namespace flamingo {

namespace detail {

/// A protocol buffer's message, field after field.
class Message {
 public:
  Message& number(int field, std::uint64_t value) {
    head(field, 0);
    varint(value);
    return *this;
  }
  Message& real(int field, double value) { return fixed(field, 1, std::bit_cast<std::uint64_t>(value), 8); }
  Message& real(int field, float value) { return fixed(field, 5, std::bit_cast<std::uint32_t>(value), 4); }
  Message& text(int field, std::string_view value) {
    head(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void head(int field, int wire) { varint(static_cast<std::uint64_t>(field << 3 | wire)); }
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
    bytes_ += static_cast<char>(value);
  }
  Message& fixed(int field, int wire, std::uint64_t value, int size) {
    head(field, wire);
    for (int i = 0; i < size; ++i) bytes_ += static_cast<char>(value >> (8 * i) & 255);
    return *this;
  }
  std::string bytes_;
};

}  // namespace detail

/// The record of an event.
inline std::string event_record(std::string_view event) {
  const auto little = [](std::uint64_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
  };
  const auto masked = [&](std::string_view bytes) {
    const std::uint32_t crc = io::crc32c(bytes);
    return little((crc >> 15 | crc << 17) + 0xA282EAD8u, 4);
  };
  const std::string length = little(event.size(), 8);
  return length + masked(length) + std::string(event) + masked(event);
}

/// The record of a step's measures.
inline std::string scalar_record(double wall_time, long step, const Measures& measures) {
  detail::Message summary, event;
  for (const Measure& m : measures)
    summary.text(1, detail::Message().text(1, m.name).real(2, static_cast<float>(m.value)).bytes());
  event.real(1, wall_time).number(2, static_cast<std::uint64_t>(step)).text(5, summary.bytes());
  return event_record(event.bytes());
}

/// One file of a run; a resumed run adds another to the folder.
class EventFile {
 public:
  /// `after`: the step that the run goes on after: TensorBoard forgets later ones of earlier files.
  explicit EventFile(const std::filesystem::path& folder, long after = 0) {
    std::filesystem::create_directories(folder);
    std::array<char, 256> host{}, name{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
    for (int n = 0; file_.number < 0 && n < 1000; ++n) {
      std::snprintf(name.data(), name.size(), "events.out.tfevents.%010.0f.%.160s.%d.%d", now(), host.data(),
                    static_cast<int>(::getpid()), n);
      path_ = folder / name.data();
      file_.number = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    }
    check(file_.number >= 0, "event_file", path_.string(), ": cannot create it (", io::detail::system_error_text(),
          ")");
    detail::Message kind, start;
    kind.real(1, now()).text(3, "brain.Event:2");
    start.real(1, now()).number(2, static_cast<std::uint64_t>(after + 1));
    start.text(7, detail::Message().number(1, 1).bytes());
    write(event_record(kind.bytes()) + event_record(start.bytes()));
  }

  /// The measures of a step, on their way to the disk when this returns: a kill loses none.
  void write(long step, const Measures& measures) { write(scalar_record(now(), step, measures)); }
  const std::filesystem::path& path() const { return path_; }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  void write(const std::string& records) {
    check(::write(file_.number, records.data(), records.size()) == static_cast<ssize_t>(records.size()), "event_file",
          path_.string(), ": cannot write it (", io::detail::system_error_text(), ")");
  }

  std::filesystem::path path_;
  io::detail::Descriptor file_{-1};
};

}  // namespace flamingo
