/// The extraction of interleaved documents from webpages: inputs -> candidates -> near-duplicates -> documents.
///
/// In OUTPUT appear documents-00000.jsonl, ... (one InterleavedDocument a line, one file a shard of the input),
/// images/ (pictures by their content; also some that no document shows any more) and report.json. Meanwhile work/
/// holds what is finished of each shard, so that a killed run goes on where it was; the result depends neither on that
/// nor on the number of processes. Component `web`.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/interleaved.hpp>
#include <flamingo/data/web/extraction_options.hpp>
#include <flamingo/data/web/image_loader.hpp>
#include <flamingo/data/web/inputs.hpp>
#include <flamingo/data/web/minhash.hpp>
#include <flamingo/data/web/page.hpp>
#include <flamingo/data/web/processes.hpp>
#include <flamingo/data/web/report.hpp>
#include <flamingo/data/web/warc.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::web {

/// How far an extraction is: shards done of a stage, pages read by this run.
struct ExtractionProgress {
  std::string_view stage;
  std::size_t done = 0, total = 0, pages = 0;
};

namespace detail {

/// One picture of one candidate: the site and the picture's name together, and the document within its shard.
struct ImageUse {
  std::uint64_t key;
  std::uint32_t document, unused = 0;
};

inline std::uint64_t image_key(std::string_view url, std::string_view name) {
  return mixed(hash_of(split_url(url).authority) ^ hash_of(name));
}

inline std::string padded(std::size_t number, int digits) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%0*zu", digits, number);
  return text.data();
}

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// Reads what bytes_of wrote.
template <class T>
class MappedValues {
 public:
  explicit MappedValues(const std::filesystem::path& path) : file_(path) {
    check(file_.data().size() % sizeof(T) == 0, "extract", path.string(), ": it has ", file_.data().size(),
          " bytes, expected records of ", sizeof(T));
  }
  std::size_t size() const { return file_.data().size() / sizeof(T); }
  const T& operator[](std::size_t i) const { return reinterpret_cast<const T*>(file_.data().data())[i]; }

 private:
  io::MappedFile file_;
};

}  // namespace detail

/// A whole extraction. run() is all that is called.
class Extraction {
 public:
  using Tell = std::function<void(const ExtractionProgress&)>;

  Extraction(std::vector<std::filesystem::path> inputs, std::filesystem::path output, ExtractionOptions options = {})
      : options_(std::move(options)), output_(std::move(output)), inputs_(list_inputs(inputs, options_.pages_a_shard)) {
    inputs_.sites.insert(inputs_.sites.begin(), options_.sites.begin(), options_.sites.end());
  }

  /// Throws Error where the input cannot be read, or OUTPUT holds the result of another extraction.
  ExtractionReport run(const Tell& tell = [](const ExtractionProgress&) {}) {
    begin();
    const std::size_t shards = inputs_.shards.size();
    const auto stage = [&](std::string_view name, const auto& work) {
      in_processes(shards, options_.processes, work, [&](std::size_t done, std::size_t pages) {
        tell({name, done, shards, pages});
      });
    };
    stage("reading", [this](std::size_t shard, const auto& count) { read_shard(shard, count); });
    find_duplicates();
    stage("writing", [this](std::size_t shard, const auto&) { write_shard(shard); });
    ExtractionReport report;
    for (std::size_t s = 0; s < shards; ++s)
      report.add(ExtractionReport::of(io::Json::parse(io::MappedFile(work(s, "final.json")).text())));
    put(output_ / "report.json", report.json().dump(2) + '\n');
    return report;
  }

 private:
  std::filesystem::path work(std::size_t shard, std::string_view what) const {
    return output_ / "work" / (detail::padded(shard, 5) + '.' + std::string(what));
  }
  static void put(const std::filesystem::path& path, std::string_view text) {
    io::AtomicFile file(path);
    file.write(text);
    file.commit();
  }
  static bool exists(const std::filesystem::path& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
  }

  /// Makes the folders, removes what a killed run left half written, and refuses results of other inputs or options.
  void begin() const {
    std::filesystem::create_directories(output_ / "work");
    std::filesystem::create_directories(output_ / "images");
    std::vector<std::filesystem::path> half_written;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(output_))
      if (entry.path().filename().string().find(".tmp-") != std::string::npos) half_written.push_back(entry.path());
    for (const auto& path : half_written) std::filesystem::remove(path);

    std::uint64_t listed = 0;
    io::Json::Array shards;
    for (const InputShard& shard : inputs_.shards) {
      listed = detail::mixed(listed ^ detail::hash_of(shard.archive.filename().string() + '\n' + shard.prefix));
      for (const std::string& page : shard.pages) listed = detail::mixed(listed ^ detail::hash_of(page));
    }
    const io::Json plan = io::Json::Object{{"shards", static_cast<std::int64_t>(inputs_.shards.size())},
                                           {"inputs", flamingo::detail::hexadecimal(listed)},
                                           {"options", options_.json()}};
    const std::filesystem::path path = output_ / "work" / "plan.json";
    if (exists(path))
      check(io::Json::parse(io::MappedFile(path).text(), path.string()) == plan, "extract", output_.string(),
            ": it holds an extraction of other inputs or with other options, expected an empty folder or the same (",
            path.string(), " tells them)");
    else
      put(path, plan.dump(2) + '\n');
  }

  // ------------------------------------------------------------------ reading: pages of a shard -> candidates

  struct Candidates {
    std::string lines;
    std::vector<Signature> signatures;
    std::vector<detail::ImageUse> uses;
    ExtractionReport report;
  };

  template <class Count>
  void read_shard(std::size_t number, const Count& count) {
    if (exists(work(number, "report.json"))) return;
    if (!reader_) {
      reader_.emplace(options_.page);
      loader_.emplace(inputs_.sites, options_.write_images ? output_ / "images" : std::filesystem::path(),
                      options_.images);
    }
    const InputShard& shard = inputs_.shards[number];
    Candidates made;
    io::AtomicFile lines(work(number, "jsonl"));
    const auto take = [&](std::string_view bytes, const std::string& url, std::string_view header) {
      add_page(number, bytes, url, header, made);
      lines.write(made.lines);
      made.lines.clear();
      count(1);
    };
    if (shard.archive.empty())
      read_folder(shard, take, made.report);
    else
      read_archive(shard.archive, take, made.report);
    lines.commit();
    put(work(number, "signatures"), detail::bytes_of(made.signatures));
    put(work(number, "images"), detail::bytes_of(made.uses));
    put(work(number, "report.json"), made.report.json().dump(2) + '\n');
  }

  template <class Take>
  void read_folder(const InputShard& shard, const Take& take, ExtractionReport& report) {
    for (const std::string& page : shard.pages) {
      const std::string url = shard.prefix + detail::percent_encoded(page);
      std::optional<io::MappedFile> file;
      try {
        file.emplace(shard.folder / page);
      } catch (const Error& error) {
        report.pages.add("unreadable", error.what());
        continue;
      }
      take(file->text(), url, std::string_view());
    }
  }

  template <class Take>
  void read_archive(const std::filesystem::path& path, const Take& take, ExtractionReport& report) {
    loader_->open_archive(path);
    WarcReader archive(path);
    WarcRecord record;
    while (archive.next(record)) {
      const bool response = record.type == "response", resource = record.type == "resource";
      if (!response && !resource) continue;
      const std::string url(record.url);
      if (record.cut) {
        report.pages.add("unreadable", url + ": a record of " + std::to_string(record.length) + " bytes is cut");
        continue;
      }
      if (resource) {
        if (is_page_type(record.content_type)) take(record.block, url, record.content_type);
        continue;
      }
      try {
        const HttpResponse answer = read_http(record.block, options_.page.html.bytes, url);
        if (answer.status == 200 && is_page_type(answer.content_type)) take(answer.body, url, answer.content_type);
      } catch (const Error& error) {
        report.pages.add("unreadable", error.what());
      }
    }
    loader_->close_archive();
    for (std::uint64_t i = 0; i < archive.damaged(); ++i) report.pages.add("damaged_archive", path.filename().string());
  }
  static bool is_page_type(std::string_view type) {
    const std::string low = detail::lowered(type);
    return low.find("html") != std::string::npos;
  }

  void add_page(std::size_t shard, std::string_view bytes, const std::string& url, std::string_view header,
                Candidates& made) {
    const ReadPage page = reader_->read(bytes, url, header);
    if (!page.dropped.empty()) return made.report.pages.add(page.dropped, url + ": " + page.why);
    InterleavedDocument document{.id = detail::padded(shard, 5) + '-' + detail::padded(made.signatures.size(), 6),
                                 .url = url,
                                 .title = page.content.title,
                                 .license = page.content.license.empty() ? options_.license : page.content.license};
    const std::size_t images = add_parts(page, document, made.report);
    if (images == 0 && options_.images_needed) return made.report.pages.add("no_images", url + ": " + page.why);
    for (const InterleavedDocument::Image& image : document.images)
      made.uses.push_back({detail::image_key(url, image.name), static_cast<std::uint32_t>(made.signatures.size())});
    made.signatures.push_back(page.signature);
    (made.lines += document.json().dump()) += '\n';
    made.report.pages.add("kept", url);
  }

  /// The texts between kept pictures, and those. Returns how many pictures.
  std::size_t add_parts(const ReadPage& page, InterleavedDocument& document, ExtractionReport& report) {
    const std::string_view text = page.content.text;
    std::size_t from = 0;
    looks_.clear();
    const auto add_text = [&](std::size_t end) {
      const std::string_view piece = detail::trimmed(text.substr(from, end - from));
      if (!piece.empty()) document.text(piece);
      from = end;
    };
    for (const ContentImage& found : page.content.images) {
      std::string url = resolve_url(page.base, found.source);
      const JudgedImage& judged = loader_->judge(url);
      if (url.starts_with("data:")) url = "data:";
      std::string_view dropped = judged.dropped;
      const auto is_copy = [&](const Look& other) { return are_copies(other, judged.look, options_.images.copies); };
      if (dropped.empty() && std::any_of(looks_.begin(), looks_.end(), is_copy)) dropped = "repeated_on_page";
      report.images.add(dropped.empty() ? "kept" : dropped, url + " on " + document.url);
      if (!dropped.empty()) continue;
      looks_.push_back(judged.look);
      add_text(found.offset);
      document.image({.name = judged.name,
                      .url = url,
                      .alt = found.alt,
                      .caption = found.caption,
                      .width = judged.width,
                      .height = judged.height,
                      .hash = judged.look.hash});
      const bool alt =
          options_.alt == AltText::always || (options_.alt == AltText::without_caption && found.caption.empty());
      if (alt && !found.alt.empty()) document.text(found.alt);
    }
    add_text(text.size());
    return document.images.size();
  }

  // ------------------------------------------------------------------ between the passes

  /// Which candidates are near-duplicates of an earlier one, and which pictures decorate a site.
  void find_duplicates() {
    std::vector<detail::MappedValues<Signature>> signatures;
    starts_.assign(1, 0);
    for (std::size_t s = 0; s < inputs_.shards.size(); ++s) {
      signatures.emplace_back(work(s, "signatures"));
      starts_.push_back(starts_.back() + signatures.back().size());
    }
    const std::size_t count = starts_.back();
    const auto signature = [&](std::size_t i) -> const Signature& {
      const std::size_t s = shard_of(i);
      return signatures[s][i - starts_[s]];
    };
    Clusters clusters = near_duplicates(count, signature, options_.page.minhash);
    first_.resize(count);
    for (std::uint32_t i = 0; i < count; ++i) first_[i] = clusters.first(i);
    find_decorations();
  }
  std::size_t shard_of(std::size_t document) const {
    return static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), document) - starts_.begin()) - 1;
  }

  /// Counts the pages of each picture in as many passes as its memory asks for.
  void find_decorations() {
    decorations_.clear();
    std::size_t uses = 0;
    for (std::size_t s = 0; s < inputs_.shards.size(); ++s)
      uses += detail::MappedValues<detail::ImageUse>(work(s, "images")).size();
    const std::size_t passes = 1 + uses * sizeof(std::pair<std::uint64_t, std::uint32_t>) / options_.counting_memory;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> pages;
    for (std::size_t pass = 0; pass < passes; ++pass) {
      pages.clear();
      for (std::size_t s = 0; s < inputs_.shards.size(); ++s) {
        const detail::MappedValues<detail::ImageUse> used(work(s, "images"));
        for (std::size_t i = 0; i < used.size(); ++i) {
          const auto document = static_cast<std::uint32_t>(starts_[s] + used[i].document);
          if (used[i].key % passes == pass && first_[document] == document) pages.emplace_back(used[i].key, document);
        }
      }
      std::sort(pages.begin(), pages.end());
      pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
      for (std::size_t begin = 0, end = 0; begin < pages.size(); begin = end) {
        while (end < pages.size() && pages[end].first == pages[begin].first) ++end;
        if (end - begin > options_.most_pages_of_image) decorations_.push_back(pages[begin].first);
      }
    }
    std::sort(decorations_.begin(), decorations_.end());
  }

  // ------------------------------------------------------------------ writing: candidates -> documents

  template <class Each>
  static void each_record(std::string_view text, const Each& each) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      each(text.substr(at, end - at));
      at = end + 1;
    }
  }

  void write_shard(std::size_t number) {
    if (exists(work(number, "final.json"))) return;
    ExtractionReport report =
        ExtractionReport::of(io::Json::parse(io::MappedFile(work(number, "report.json")).text(), "report"));
    const io::MappedFile candidates(work(number, "jsonl"));
    io::AtomicFile documents(output_ / ("documents-" + detail::padded(number, 5) + ".jsonl"));
    std::string lines;
    std::size_t document = starts_[number];
    each_record(candidates.text(), [&](std::string_view line) {
      const std::size_t own = document++;
      const InterleavedDocument page = InterleavedDocument::of(io::Json::parse(line, "candidate"), "candidate");
      const auto drop = [&](std::string_view rule, const std::string& why) {
        report.pages.take_back("kept");
        report.pages.add(rule, page.url + why);
      };
      if (first_[own] != own) {
        const std::size_t first = first_[own], shard = shard_of(first);
        return drop("near_duplicate",
                    " of " + detail::padded(shard, 5) + '-' + detail::padded(first - starts_[shard], 6));
      }
      const InterleavedDocument rest = without_decorations(page, report);
      if (rest.images.empty() && options_.images_needed) return drop("no_images", ": decoration alone");
      lines += rest.images.size() == page.images.size() ? std::string(line) : rest.json().dump();
      lines += '\n';
      if (lines.size() < (std::size_t{1} << 20)) return;
      documents.write(lines);
      lines.clear();
    });
    documents.write(lines);
    documents.commit();
    put(work(number, "final.json"), report.json().dump(2) + '\n');
  }

  InterleavedDocument without_decorations(const InterleavedDocument& page, ExtractionReport& report) const {
    InterleavedDocument rest{.id = page.id, .url = page.url, .title = page.title, .license = page.license};
    bool joins = false;  // whether a picture was taken out from between two texts
    for (const InterleavedDocument::Part& part : page.parts) {
      if (part.image < 0) {
        if (joins && !rest.parts.empty() && rest.parts.back().image < 0)
          (rest.parts.back().text += "\n\n") += part.text;
        else
          rest.text(part.text);
        joins = false;
        continue;
      }
      const InterleavedDocument::Image& image = page.images[static_cast<std::size_t>(part.image)];
      joins = std::binary_search(decorations_.begin(), decorations_.end(), detail::image_key(page.url, image.name));
      if (!joins) {
        rest.image(image);
        continue;
      }
      report.images.take_back("kept");
      report.images.add("decoration", image.url + " on " + page.url);
    }
    return rest;
  }

  ExtractionOptions options_;
  std::filesystem::path output_;
  Inputs inputs_;
  std::optional<PageReader> reader_;
  std::optional<ImageLoader> loader_;
  std::vector<Look> looks_;                 // of the pictures of the page that is read
  std::vector<std::size_t> starts_;         // of each shard's documents, and the end
  std::vector<std::uint32_t> first_;        // of each document's cluster
  std::vector<std::uint64_t> decorations_;  // keys of pictures, sorted
};

}  // namespace flamingo::web
