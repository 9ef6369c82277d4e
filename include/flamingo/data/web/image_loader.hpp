/// The pictures of pages: found in folders, archives and addresses themselves, judged by the image rules, and kept by
/// their content. Component `web`.
#pragma once
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/interleaved.hpp>
#include <flamingo/data/web/image_rules.hpp>
#include <flamingo/data/web/perceptual_hash.hpp>
#include <flamingo/data/web/url.hpp>
#include <flamingo/data/web/warc.hpp>
#include <flamingo/data/web/words.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::web {

/// Addresses that begin with `prefix` lie in a folder.
struct Site {
  std::string prefix;
  std::filesystem::path folder;
};

struct ImageLoaderOptions {
  ImageRules rules{};
  LookRules copies{};  ///< when two pictures of a page are one
  io::ImageOptions reading{.max_bytes = std::size_t{32} << 20, .at_least = 64};
};

/// What a picture is: why it is dropped, or its size, its look and the name of its file.
struct JudgedImage {
  std::string_view dropped{};  ///< empty: it is kept
  std::string name{};
  int width = 0, height = 0;
  Look look{};
};

/// Names a file by its content: 32 hexadecimal digits and what it is, in 256 folders. Empty: no picture that we read.
inline std::string content_name(std::string_view bytes) {
  const std::string_view type = bytes.starts_with("\x89PNG")        ? ".png"
                                : bytes.starts_with("\xff\xd8\xff") ? ".jpg"
                                : bytes.starts_with("GIF8")         ? ".gif"
                                : bytes.starts_with("BM")           ? ".bmp"
                                                                    : "";
  if (type.empty()) return {};
  const std::string digits = flamingo::detail::hexadecimal(detail::hash_of(bytes, 1)) +
                             flamingo::detail::hexadecimal(detail::hash_of(bytes, 2));
  return digits.substr(0, 2) + '/' + digits + std::string(type);
}

/// Judges pictures by their addresses and remembers them. `folder` is where kept ones are written; empty: nowhere.
class ImageLoader {
 public:
  ImageLoader(std::vector<Site> sites, std::filesystem::path folder, const ImageLoaderOptions& options = {})
      : sites_(std::move(sites)), folder_(std::move(folder)), options_(options) {}

  /// Makes the pictures of an archive known; forgets those of the one before.
  void open_archive(const std::filesystem::path& path) {
    close_archive();
    archive_ = std::make_unique<WarcReader>(path);
    WarcRecord record;
    while (archive_->next(record)) {
      if (record.cut || (record.type != "response" && record.type != "resource")) continue;
      if (in_archive_.size() < most_known && holds_picture(record)) in_archive_.emplace(record.url, archive_->place());
    }
    if (!in_archive_.empty()) cache_.clear();  // what was missing may be here
  }
  void close_archive() {
    if (!in_archive_.empty()) cache_.clear();
    archive_.reset();
    in_archive_.clear();
  }

  const JudgedImage& judge(const std::string& url) {
    if (cache_.size() >= most_known) cache_.clear();
    const auto [place, fresh] =
        cache_.try_emplace(url.size() <= 512 ? url
                                             : flamingo::detail::hexadecimal(detail::hash_of(url, 1)) +
                                                   flamingo::detail::hexadecimal(detail::hash_of(url, 2)));
    if (fresh) place->second = judge_anew(url);
    return place->second;
  }

 private:
  static constexpr std::size_t most_known = 200'000;

  static bool holds_picture(const WarcRecord& record) {
    if (record.type == "resource") return record.content_type.starts_with("image/");
    const std::string_view head = record.block.substr(0, 4096);
    const std::size_t at = detail::find_ignoring_case(head, "\ncontent-type:");
    return at != std::string_view::npos && detail::trimmed(head.substr(at + 14)).starts_with("image/");
  }

  JudgedImage judge_anew(const std::string& url) {
    std::string bytes;
    if (!load(url, bytes)) return {"missing"};
    JudgedImage judged{.name = content_name(bytes)};
    if (judged.name.empty()) return {"unreadable"};
    const auto file = std::as_bytes(std::span(bytes.data(), bytes.size()));
    try {
      const io::detail::ImageHeader header = io::Codecs::header(file);
      if (header.problem.empty()) {
        judged.width = header.size.width;
        judged.height = header.size.height;
        const ImageFault fault = size_fault(judged.width, judged.height, options_.rules);
        if (fault != ImageFault::none) return {name_of(fault)};
      }
      const io::Image image = io::decode_image<io::Codecs>(file, url, options_.reading);
      if (colour_entropy(image) < options_.rules.least_entropy) return {name_of(ImageFault::low_information)};
      judged.look = look_of(image);
    } catch (const Error&) {
      return {"unreadable"};
    }
    if (!folder_.empty()) write(judged.name, bytes);
    return judged;
  }

  bool load(const std::string& url, std::string& bytes) {
    if (auto data = data_url_bytes(url)) {
      bytes = std::move(*data);
      return true;
    }
    const std::string_view address = std::string_view(url).substr(0, url.find('?'));
    for (const Site& site : sites_) {
      if (!address.starts_with(site.prefix)) continue;
      const std::string inside = percent_decoded(address.substr(site.prefix.size()));
      if (read_file(site.folder, inside, bytes)) return true;
    }
    if (const auto found = in_archive_.find(url); found != in_archive_.end()) {
      WarcRecord record;
      archive_->go_to(found->second);
      if (!archive_->next(record)) return false;
      if (record.type == "resource") {
        bytes = std::string(record.block);
        return true;
      }
      try {
        bytes = read_http(record.block, options_.reading.max_bytes, url).body;
        return true;
      } catch (const Error&) {
        return false;
      }
    }
    return false;
  }

  /// A file below a folder; a path that leads out of it is none.
  bool read_file(const std::filesystem::path& folder, const std::string& inside, std::string& bytes) const {
    if (inside.empty() || inside.front() == '/' || inside.find('\0') != std::string::npos) return false;
    const std::filesystem::path relative(inside);
    for (const auto& part : relative)
      if (part == "..") return false;
    std::error_code error;
    const std::filesystem::path path = folder / relative;
    const auto size = std::filesystem::is_regular_file(path, error) ? std::filesystem::file_size(path, error) : 0;
    if (error || size == 0 || size > options_.reading.max_bytes) return false;
    try {
      const io::MappedFile file(path);
      bytes = std::string(file.text());
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = folder_ / name;
    std::error_code error;
    if (std::filesystem::exists(path, error)) return;  // the name is its content
    std::filesystem::create_directories(path.parent_path());
    io::AtomicFile file(path);
    file.write(bytes);
    file.commit(/*flush=*/false);  // of thousands; the input has them still
  }

  std::vector<Site> sites_;
  std::filesystem::path folder_;
  ImageLoaderOptions options_;
  std::unique_ptr<WarcReader> archive_;
  std::unordered_map<std::string, WarcPlace> in_archive_;
  std::unordered_map<std::string, JudgedImage> cache_;
};

}  // namespace flamingo::web
