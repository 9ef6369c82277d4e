/// WARC archives (ISO 28500), compressed record by record or not: one record after another, in bounded memory, and past
/// damage. Component `web`.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/charset.hpp>
#include <flamingo/data/web/gzip.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::web {

/// A record. Its texts live until the next one is read.
struct WarcRecord {
  std::string_view type, url, content_type;  ///< WARC-Type, WARC-Target-URI, Content-Type of the record
  std::string_view block;                    ///< empty where it is cut
  std::uint64_t length = 0;                  ///< of the block, as the record says
  bool cut = false;                          ///< longer than the limit, or than the file
};

/// Where a record begins: a byte of the file, and one of what that gzip member holds.
struct WarcPlace {
  std::uint64_t member = 0, within = 0;
};

/// What a record may cost.
struct WarcLimits {
  std::size_t block = std::size_t{32} << 20;   ///< longer ones are passed over
  std::size_t header = std::size_t{64} << 10;  ///< longer ones are damage
};

class WarcReader {
 public:
  /// Throws Error where the file cannot be opened.
  explicit WarcReader(std::filesystem::path path, const WarcLimits& limits = {})
      : path_(std::move(path)), limits_(limits), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    check(file_.number >= 0, "warc", path_.string(), ": cannot open it (", io::detail::system_error_text(), ")");
    raw_buffer_.resize(raw_bytes);
    fill_raw();
    compressed_ = raw_.starts_with("\x1f\x8b");
    if (compressed_) inflate_ = std::make_unique<Inflate>(Inflate::gzip);
  }

  /// The next record; false at the end of the file.
  bool next(WarcRecord& record) {
    record = {};
    skip(pending_);
    pending_ = 0;
    if (!find_header()) return false;
    std::uint64_t length = 0;
    std::string_view rest = header_;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      const std::string name = detail::lowered(line.substr(0, colon));
      const std::string_view value = detail::trimmed(line.substr(colon + 1));
      if (name == "warc-type") record.type = value;
      if (name == "content-type") record.content_type = value;
      if (name == "warc-target-uri")
        record.url = value.starts_with('<') && value.ends_with('>') ? value.substr(1, value.size() - 2) : value;
      if (name == "content-length" &&
          std::from_chars(value.data(), value.data() + value.size(), length).ec != std::errc{})
        length = 0;
    }
    record.length = length;
    if (length > limits_.block) {
      record.cut = true;
      pending_ = length;
      return true;
    }
    const std::uint64_t damage = damaged_;
    record.cut = !want(length) || damage != damaged_;
    if (record.cut) return true;
    block_.assign(data_, at_, length);
    at_ += length;
    record.block = block_;
    return true;
  }

  /// Where the record that next() gave last begins; go_to() makes next() give it again.
  WarcPlace place() const { return place_; }
  void go_to(WarcPlace place) {
    check(::lseek(file_.number, static_cast<off_t>(place.member), SEEK_SET) >= 0, "warc", path_.string(),
          ": cannot go to byte ", place.member);
    raw_ = {};
    raw_end_ = place.member;
    data_.clear();
    at_ = 0;
    members_.clear();
    ended_ = false;
    pending_ = 0;
    if (compressed_) inflate_->reset();
    fresh_ = true;
    skip(place.within);
  }

  /// Stretches that were no records: damaged members, and bytes between records.
  std::uint64_t damaged() const { return damaged_; }

 private:
  static constexpr std::size_t raw_bytes = std::size_t{1} << 17, piece_bytes = std::size_t{1} << 17;

  bool fill_raw() {
    if (!raw_.empty()) return true;
    ssize_t got = 0;
    do got = ::read(file_.number, raw_buffer_.data(), raw_buffer_.size());
    while (got < 0 && errno == EINTR);
    check(got >= 0, "warc", path_.string(), ": cannot read it (", io::detail::system_error_text(), ")");
    raw_ = std::string_view(raw_buffer_.data(), static_cast<std::size_t>(got));
    raw_end_ += raw_.size();
    return got > 0;
  }
  std::uint64_t raw_place() const { return raw_end_ - raw_.size(); }

  /// Makes data_ longer; false at the end.
  bool fill() {
    if (ended_) return false;
    if (at_ > piece_bytes && at_ * 2 > data_.size()) drop();
    const std::size_t size = data_.size();
    if (!compressed_) {
      if (fill_raw()) {
        if (fresh_) begin_member();
        data_.append(raw_);
        raw_ = {};
      }
    } else {
      while (data_.size() == size && fill_raw()) {
        if (fresh_) begin_member();
        data_.resize(size + piece_bytes);
        char* out = data_.data() + size;
        std::size_t room = piece_bytes;
        const Inflate::State state = inflate_->run(raw_, out, room);
        data_.resize(size + piece_bytes - room);
        if (state == Inflate::State::more) continue;
        inflate_->reset();
        fresh_ = true;
        if (state == Inflate::State::damaged) {
          ++damaged_;
          find_member();
        }
      }
    }
    ended_ = data_.size() == size;
    return !ended_;
  }
  void begin_member() {
    members_.push_back({dropped_ + data_.size(), raw_place()});
    fresh_ = false;
  }
  /// After damage: to the next bytes that begin a gzip member.
  void find_member() {
    constexpr std::string_view magic = "\x1f\x8b\x08";
    while (fill_raw()) {
      const std::size_t found = raw_.find(magic);
      if (found != std::string_view::npos) {
        raw_.remove_prefix(found);
        return;
      }
      raw_ = {};
    }
  }
  /// Forgets what lies before at_.
  void drop() {
    data_.erase(0, at_);
    dropped_ += at_;
    at_ = 0;
    while (members_.size() > 1 && members_[1].first <= dropped_) members_.erase(members_.begin());
  }

  /// Whether that many bytes lie from at_ on.
  bool want(std::size_t bytes) {
    while (data_.size() - at_ < bytes)
      if (!fill()) return false;
    return true;
  }
  void skip(std::uint64_t bytes) {
    while (bytes > 0) {
      if (at_ == data_.size()) {
        drop();
        if (!fill()) return;
      }
      const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, data_.size() - at_));
      at_ += step;
      bytes -= step;
    }
  }

  /// Reads the header lines of the next record; what lies before it is passed over.
  bool find_header() {
    constexpr std::string_view magic = "WARC/";
    bool junk = false;
    for (;;) {
      if (!want(magic.size())) return false;
      if (std::string_view(data_).substr(at_, magic.size()) == magic) {
        remember_place();
        std::size_t length = 0;
        if (header_length(length)) {
          header_.assign(data_, at_, length);
          at_ += length;
          damaged_ += junk;
          return true;
        }
      }
      // Not a record: to the next line.
      std::size_t end = data_.find('\n', at_);
      while (end == std::string::npos) {
        junk |= data_.size() > at_ + 2;
        at_ = data_.size();
        drop();
        if (!fill()) return false;
        end = data_.find('\n', at_);
      }
      junk |= end - at_ > 1;
      at_ = end + 1;
      if (at_ > piece_bytes) drop();
    }
  }
  /// The length of the header at at_, its empty line included.
  bool header_length(std::size_t& length) {
    for (std::size_t from = 0;;) {
      const std::string_view here = std::string_view(data_).substr(at_, limits_.header);
      const std::size_t crlf = here.find("\r\n\r\n", from), lf = here.find("\n\n", from);
      if (crlf != std::string_view::npos || lf != std::string_view::npos) {
        length = crlf < lf ? crlf + 4 : lf + 2;
        return true;
      }
      if (here.size() >= limits_.header) return false;
      from = here.size() < 4 ? 0 : here.size() - 3;
      if (!fill()) return false;
    }
  }
  void remember_place() {
    const std::uint64_t here = dropped_ + at_;
    for (const auto& [begin, file] : members_)
      if (begin <= here) place_ = compressed_ ? WarcPlace{file, here - begin} : WarcPlace{file + (here - begin), 0};
  }

  std::filesystem::path path_;
  WarcLimits limits_;
  io::detail::Descriptor file_;
  std::vector<char> raw_buffer_;
  std::string_view raw_;       // read and not yet used
  std::uint64_t raw_end_ = 0;  // of the file, where raw_ ends
  std::unique_ptr<Inflate> inflate_;
  bool compressed_ = false, fresh_ = true, ended_ = false;
  std::string data_;  // uncompressed; before at_ it is used
  std::size_t at_ = 0;
  std::uint64_t dropped_ = 0;                                     // bytes that were before data_
  std::vector<std::pair<std::uint64_t, std::uint64_t>> members_;  // where they begin, uncompressed and in the file
  std::uint64_t pending_ = 0, damaged_ = 0;
  std::string header_, block_;
  WarcPlace place_;
};

/// What a server answered.
struct HttpResponse {
  int status = 0;
  std::string content_type;
  std::string body;  ///< without its transfer and content encodings
};

/// Reads the block of a response record. Throws Error where it is no HTTP, or its body, uncompressed, has more than
/// `most` bytes.
inline HttpResponse read_http(std::string_view block, std::size_t most, std::string_view source = "response") {
  check(block.starts_with("HTTP/"), "http", source, ": it does not begin with HTTP/");
  HttpResponse response;
  bool chunked = false;
  std::string encoding;
  std::size_t line_end = 0;
  for (bool first = true;; first = false) {
    line_end = block.find('\n');
    check(line_end != std::string_view::npos, "http", source, ": its header has no end");
    const std::string_view line = detail::trimmed(block.substr(0, line_end));
    block.remove_prefix(line_end + 1);
    if (line.empty()) break;
    if (first) {
      const std::string_view code = line.substr(std::min(line.find(' '), line.size()));
      const std::string_view digits = detail::trimmed(code);
      std::from_chars(digits.data(), digits.data() + digits.size(), response.status);
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string name = detail::lowered(line.substr(0, colon));
    const std::string_view value = detail::trimmed(line.substr(colon + 1));
    if (name == "content-type") response.content_type = std::string(value);
    if (name == "content-encoding") encoding = detail::lowered(value);
    if (name == "transfer-encoding") chunked = detail::lowered(value).find("chunked") != std::string::npos;
  }
  std::string whole;
  if (chunked) {
    // Crawlers often undo the chunks and leave the header: then there is no size here.
    std::string_view rest = block;
    bool valid = false;
    for (;;) {
      const std::size_t end = rest.find('\n');
      std::size_t size = 0;
      const std::string_view line = detail::trimmed(rest.substr(0, end));
      if (end == std::string_view::npos ||
          std::from_chars(line.data(), line.data() + line.size(), size, 16).ec != std::errc{})
        break;
      valid = true;
      rest.remove_prefix(end + 1);
      whole.append(rest.substr(0, size));
      rest.remove_prefix(std::min(size, rest.size()));
      if (size == 0) break;
      if (rest.starts_with("\r\n")) rest.remove_prefix(2);
    }
    if (valid) block = whole;
  }
  if (encoding == "gzip" || encoding == "x-gzip" || encoding == "deflate") {
    response.body = inflated(block, most, source);
  } else {
    check(encoding.empty() || encoding == "identity", "http", source, ": its encoding is ", encoding,
          ", expected gzip, deflate or none");
    check(block.size() <= most, "http", source, ": its body has ", block.size(), " bytes, at most ", most);
    response.body = std::string(block);
  }
  return response;
}

}  // namespace flamingo::web
