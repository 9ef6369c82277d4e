/// From shards to ragged batches: reads, cuts windows, decodes and resizes on threads of its own, and knows at each
/// batch where to go on.
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/data/frames.hpp>
#include <flamingo/data/loader/sample_order.hpp>
#include <flamingo/data/media/augment.hpp>
#include <flamingo/data/sampling.hpp>
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard.hpp>
#include <flamingo/data/shards/shard_index.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// How encoded files become pictures. image_reader() and video_reader() (components `images`, `stb`, `video`) make
/// them. Both throw Error, with the name they are given, for a file that is broken.
struct MediaReaders {
  /// `at_least`: a shortest edge that suffices, for decoders that are faster at a smaller size.
  std::function<io::RawImage(std::span<const std::byte> file, std::string_view name, int at_least)> image;
  /// The clip that clip_of() chooses.
  std::function<std::vector<io::Image>(std::span<const std::byte> file, std::string_view name,
                                       const FrameSampling& sampling, double place)>
      video;
};

/// What a batch holds at most. A batch ends before the document that would not fit.
struct BatchBounds {
  int documents = 16;
  int tokens = 1 << 30;
  int media = 1 << 30;
};

/// One dataset: where it lies and how it is read.
struct DatasetOptions {
  std::string name;
  std::filesystem::path shards;  ///< as ShardSet::open() takes it
  WindowOptions window = {};
  BatchBounds batch = {};
  ImageTransform image = {};
  FrameSampling clip = training_frames;
  std::optional<double> clip_place = {};  ///< where a clip lies in a longer video, 0 to 1; drawn where nothing is said
  bool moving_gifs = false;               ///< a GIF with a caption is a video
  std::function<std::string(std::string_view)> caption = {};  ///< applied to the texts of pairs and videos
  std::uint64_t seed = 1;
  bool shuffle = true;
  int buffer = 4096;        ///< of the shuffle, in samples
  std::int64_t epochs = 0;  ///< after which it ends; 0: never
  int part = 0, parts = 1;  ///< reads every parts-th sample: one of several processes
  int threads = 1;          ///< that read ahead; 0: the caller reads. Batches do not depend on it
};

/// A medium of a batch: frames first_frame .. first_frame + frames - 1; an image has one.
struct LoadedMedium {
  int first_frame = 0, frames = 1;
  int place = 0;  ///< among its document's media
};

/// A ragged batch of documents with the pictures of their media.
struct LoadedBatch {
  std::vector<Sequence> sequences;
  std::vector<LoadedMedium> media;
  std::vector<io::Image> frames;
  std::vector<std::string> keys;  ///< of the sequences' samples

  int tokens() const {
    int sum = 0;
    for (const Sequence& s : sequences) sum += static_cast<int>(s.ids.size());
    return sum;
  }
};

/// What could not be read, and why.
struct Skipped {
  std::string name, reason;
};

class Loader {
 public:
  /// Borrows the tokenizer. Throws Error where there is no sample, or bounds that no window fits into.
  Loader(DatasetOptions options, const io::Tokenizer& tokenizer, Tags tags, MediaReaders readers)
      : options_(std::move(options)),
        tokenizer_(tokenizer),
        tags_(std::move(tags)),
        readers_(std::move(readers)),
        set_(ShardSet::open(options_.shards)),
        order_(set_.samples, options_.seed, options_.shuffle, options_.buffer),
        consumed_(options_.part),
        claimed_(options_.part) {
    check(options_.parts >= 1 && options_.part >= 0 && options_.part < options_.parts, "loader", options_.name,
          ": part ", options_.part, " of ", options_.parts);
    check(options_.batch.documents >= 1 && options_.batch.tokens >= options_.window.tokens &&
              options_.batch.media >= options_.window.media && options_.window.tokens >= 1,
          "loader", options_.name, ": a batch holds ", options_.batch.documents, " documents, ", options_.batch.tokens,
          " tokens and ", options_.batch.media, " media, which a window of ", options_.window.tokens, " tokens and ",
          options_.window.media, " media may exceed");
    for (const std::string& problem : set_.problems) note(skipped_shards_, {options_.name, problem});
    // A block of the shuffle may lie over several shards, and while one is read the readers are already in the next.
    const std::int64_t each = std::max<std::int64_t>(1, order_.size() / static_cast<std::int64_t>(set_.files.size()));
    most_open_ = static_cast<std::size_t>(2 * (options_.buffer / each + 2));
    most_open_ = std::min(most_open_, max_open);
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() { halt(); }

  /// The next batch; none after the last epoch. The last batch may be small. Throws Error when no sample of a whole
  /// epoch can be read.
  std::optional<LoadedBatch> next() {
    LoadedBatch batch;
    const BatchBounds& most = options_.batch;
    while (static_cast<int>(batch.sequences.size()) < most.documents) {
      if (!pending_ && !(pending_ = next_good())) break;
      const int tokens = batch.tokens() + static_cast<int>(pending_->sequence.ids.size());
      const std::size_t media = batch.media.size() + pending_->media.size();
      if (tokens > most.tokens || media > static_cast<std::size_t>(most.media)) break;
      append(batch, std::move(*pending_));
      pending_.reset();
      consumed_ += options_.parts;
    }
    if (batch.sequences.empty()) return {};
    return batch;
  }

  /// Where the next batch begins: JSON that restore() takes. `shard` and `offset` tell people where that is.
  io::Json state() {
    const std::lock_guard lock(mutex_);
    const SamplePlace place = order_.at(consumed_);
    io::Json::Object state = identity();
    state.push_back({"epoch", place.epoch});
    state.push_back({"index", place.index});
    state.push_back({"shard", set_.files[place.shard].filename().string()});
    state.push_back({"offset", place.sample});
    state.push_back({"skipped_samples", skipped_samples_});
    state.push_back({"skipped_media", skipped_media_});
    return state;
  }

  /// Goes on where state() was taken: the same batches, bit for bit, whatever the number of threads. Throws Error, with
  /// the loader as it was, where the state is of another dataset, seed, order or part.
  void restore(const io::Json& state) {
    for (const auto& [name, expected] : identity())
      check(state.at(name) == expected, "loader", options_.name, ": the state's ", name, " is ", state.at(name).dump(),
            ", this dataset's is ", expected.dump());
    const std::int64_t epoch = state.at("epoch").as_integer(), index = state.at("index").as_integer();
    const std::int64_t samples = state.at("skipped_samples").as_integer(),
                       media = state.at("skipped_media").as_integer();
    check(epoch >= 0 && epoch < std::int64_t{1} << 20 && index >= 0 && index < order_.size(), "loader", options_.name,
          ": the state is at sample ", index, " of epoch ", epoch, ", an epoch has ", order_.size());
    const std::int64_t number = epoch * order_.size() + index;
    check(number % options_.parts == options_.part, "loader", options_.name, ": sample ", number, " is not of part ",
          options_.part, " of ", options_.parts);
    halt();
    pending_.reset();
    consumed_ = claimed_ = number;
    skipped_samples_ = samples;
    skipped_media_ = media;
  }

  const DatasetOptions& options() const { return options_; }
  std::int64_t size() const { return order_.size(); }
  /// Samples that were passed over since the first epoch, and media that were left out of their documents.
  std::int64_t skipped_samples() const { return skipped_samples_; }
  std::int64_t skipped_media() const { return skipped_media_; }
  /// The first of what was skipped since this loader began, by name, and the shards that are not whole.
  const std::vector<Skipped>& skipped() const { return skipped_; }
  const std::vector<Skipped>& skipped_shards() const { return skipped_shards_; }
  /// Seconds that next() waited for samples (threads > 0) or read them itself.
  double waited() const { return waited_; }

 private:
  static constexpr std::size_t max_named = 1000, max_open = 64;

  struct Loaded {
    Sequence sequence;
    std::vector<std::vector<io::Image>> media;
    std::string key;
    std::vector<Skipped> skipped;  ///< media, and last the sample itself where it is not good
    bool good = false;
  };
  struct Slot {
    bool done = false;
    Loaded loaded;
    std::exception_ptr error;
  };

  io::Json::Object identity() const {
    return {{"dataset", options_.name}, {"seed", std::to_string(options_.seed)},
            {"samples", order_.size()}, {"buffer", options_.shuffle ? options_.buffer : 0},
            {"part", options_.part},    {"parts", options_.parts}};
  }

  std::int64_t end() const { return options_.epochs > 0 ? options_.epochs * order_.size() : INT64_MAX; }

  static void note(std::vector<Skipped>& list, Skipped what) {
    if (list.size() < max_named) list.push_back(std::move(what));
  }

  std::optional<Loaded> next_good() {
    for (std::int64_t tries = 0; consumed_ < end(); ++tries) {
      Loaded loaded = take();
      for (const Skipped& what : loaded.skipped) note(skipped_, what);
      skipped_media_ += static_cast<std::int64_t>(loaded.skipped.size()) - (loaded.good ? 0 : 1);
      if (loaded.good) return loaded;
      ++skipped_samples_;
      consumed_ += options_.parts;
      check(tries < order_.size(), "loader", options_.name, ": none of ", order_.size(),
            " samples can be read; the last: ", loaded.skipped.back().name, ": ", loaded.skipped.back().reason);
    }
    return {};
  }

  /// The sample that is next in the order, good or not.
  Loaded take() {
    const auto begun = std::chrono::steady_clock::now();
    const auto count_time = [&] {
      waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    };
    if (options_.threads <= 0) {
      Loaded loaded = read(order_.at(claimed_));
      claimed_ += options_.parts;
      count_time();
      return loaded;
    }
    std::unique_lock lock(mutex_);
    if (workers_.empty())
      for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { work(); });
    ready_.wait(lock, [&] { return !slots_.empty() && slots_.front().done; });
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    lock.unlock();
    room_.notify_one();
    count_time();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.loaded);
  }

  void work() {
    std::unique_lock lock(mutex_);
    const auto ahead = static_cast<std::size_t>(4 * options_.threads);
    while (true) {
      room_.wait(lock, [&] { return stop_ || (slots_.size() < ahead && claimed_ < end()); });
      if (stop_) return;
      const SamplePlace place = order_.at(claimed_);
      Slot& slot = slots_.emplace_back();  // stays where it is while others come and go
      claimed_ += options_.parts;
      lock.unlock();
      Loaded loaded;
      std::exception_ptr error;
      try {
        loaded = read(place);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.loaded = std::move(loaded);
      slot.error = error;
      slot.done = true;
      ready_.notify_all();
    }
  }

  void halt() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    room_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    slots_.clear();
    stop_ = false;
  }

  /// A sample as a window with its media, or the reason why not. Broken media leave their documents; a document
  /// without any is no sample.
  Loaded read(const SamplePlace& place) {
    Loaded loaded;
    std::string name = set_.files[place.shard].string() + " sample " + std::to_string(place.sample);
    try {
      const std::shared_ptr<const Shard> shard = open(place.shard);
      const ShardSample sample = shard->sample(static_cast<std::size_t>(place.sample));
      name = set_.files[place.shard].string() + ' ' + sample.key;
      loaded.key = sample.key;
      Record record = read_record(sample, options_.moving_gifs);
      if (options_.caption && record.kind != RecordKind::page)
        for (Record::Part& part : record.parts)
          if (part.medium < 0) part.text = options_.caption(part.text);
      while (true) {
        check(!record.media.empty(), "loader", "no image or video is left");
        Random random = sample_random(options_.seed, place.epoch, place.index);
        DocumentWindow window = sample_window(record.document(), tokenizer_, tags_, options_.window, random);
        const int broken = read_media(record, window, random, loaded);
        if (broken < 0) {
          loaded.sequence = std::move(window.sequence);
          loaded.good = true;
          return loaded;
        }
        record.drop(broken);
      }
    } catch (const Error& error) {
      loaded.skipped.push_back({std::move(name), error.what()});
    }
    return loaded;
  }

  /// The media of a window. Returns the number of one that is broken, or -1.
  int read_media(const Record& record, const DocumentWindow& window, Random& random, Loaded& loaded) const {
    loaded.media.clear();
    for (int m = window.first_medium; m < window.first_medium + window.sequence.media; ++m) {
      const Record::Medium& medium = record.media[static_cast<std::size_t>(m)];
      const Augmentation augmentation = options_.image.draw(random);
      const double place = random.uniform();
      try {
        std::vector<io::Image> frames;
        if (medium.video) {
          check(static_cast<bool>(readers_.video), "loader", medium.name, ": no reader of videos is there");
          frames = readers_.video(medium.file(), medium.name, options_.clip, options_.clip_place.value_or(place));
          for (io::Image& frame : frames) frame = options_.image(std::move(frame), augmentation);
        } else {
          check(static_cast<bool>(readers_.image), "loader", medium.name, ": no reader of images is there");
          frames.push_back(
              options_.image(readers_.image(medium.file(), medium.name, options_.image.at_least()), augmentation));
        }
        loaded.media.push_back(std::move(frames));
      } catch (const Error& error) {
        loaded.skipped.push_back({record.key + ' ' + medium.name, error.what()});
        return m;
      }
    }
    return -1;
  }

  static void append(LoadedBatch& batch, Loaded loaded) {
    loaded.sequence.first_medium = static_cast<int>(batch.media.size());
    int place = 0;
    for (std::vector<io::Image>& frames : loaded.media) {
      batch.media.push_back({static_cast<int>(batch.frames.size()), static_cast<int>(frames.size()), place++});
      for (io::Image& frame : frames) batch.frames.push_back(std::move(frame));
    }
    batch.sequences.push_back(std::move(loaded.sequence));
    batch.keys.push_back(std::move(loaded.key));
  }

  /// A shard, opened when it is first needed; those not needed for longest are closed.
  std::shared_ptr<const Shard> open(std::size_t number) {
    const std::lock_guard lock(shards_mutex_);
    for (auto at = open_.begin(); at != open_.end(); ++at)
      if (at->first == number) {
        std::rotate(open_.begin(), at, at + 1);
        return open_.front().second;
      }
    auto shard = std::make_shared<const Shard>(set_.files[number]);
    open_.insert(open_.begin(), {number, shard});
    if (open_.size() > most_open_) open_.pop_back();
    return shard;
  }

  DatasetOptions options_;
  const io::Tokenizer& tokenizer_;
  Tags tags_;
  MediaReaders readers_;
  ShardSet set_;
  SampleOrder order_;
  std::int64_t consumed_, claimed_;  ///< numbers in the order: next to be delivered, next to be read
  std::optional<Loaded> pending_;    ///< read, but too large for the last batch
  std::int64_t skipped_samples_ = 0, skipped_media_ = 0;
  std::vector<Skipped> skipped_, skipped_shards_;
  double waited_ = 0;

  std::mutex mutex_, shards_mutex_;
  std::condition_variable room_, ready_;
  std::deque<Slot> slots_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
  std::vector<std::pair<std::size_t, std::shared_ptr<const Shard>>> open_;
  std::size_t most_open_ = 0;
};

}  // namespace flamingo
