/// Many requests at a time, from any threads, over one engine: new ones join between passes, each ends by itself, and
/// each gets what it would get alone.
///
/// One thread drives: a step() is one ragged pass over a token of every request that writes and pieces of the prompts
/// of those that do not yet.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <flamingo/infer/generate.hpp>

namespace flamingo {

struct ServeOptions {
  int running = 64;         ///< requests that are read and written at a time; others wait in the order they came in
  int tokens_a_pass = 512;  ///< most new tokens in a pass, more than `running`: what writers leave is for prompts
};

/// What became of a request.
struct Served {
  Generated written;    ///< of one that was cancelled or failed, what there was
  TextState state;      ///< its sequence. Move it out to go on from it later; else its rows are free again
  std::string error{};  ///< why it failed
};

/// Where it begins, how it goes on, and who is told. All functions are called by the thread that drives.
template <class E>
struct Request {
  TextState state{};                 ///< the prompt: of E::begin(), or a copy of a prefix with more appended
  Function<TextState(E&)> prompt{};  ///< or what makes it when its turn comes: it may add media
  GenerateOptions options{};
  Function<void(int)> on_token{};
  Function<void(Served&)> on_end{};  ///< once, whatever became of it
};

/// Serves the requests of one engine, which nobody else may use meanwhile but for begin(), append() and copies of
/// states.
///
/// A request is admitted when the rows of text are free that it may need to its end, so that none fails halfway for
/// want of them. Requests are admitted, and prompts read, in the order they came in.
template <class E>
class Server {
 public:
  using Id = std::uint64_t;

  explicit Server(E& engine, const ServeOptions& options = {}) : engine_(engine), options_(options) {
    check(options.running > 0 && options.tokens_a_pass > options.running, "serve", "running is ", options.running,
          " and tokens_a_pass ", options.tokens_a_pass,
          ", expected more tokens than requests, and one of each at least");
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// From any thread. Throws where the options make no sense, and after close().
  Id submit(Request<E> request) {
    check_options(request.options, E::V);
    const std::lock_guard lock(mutex_);
    check(!closed_, "serve", "the server is closed");
    incoming_.emplace_back(++last_, std::move(request));
    work_.notify_one();
    return last_;
  }
  /// From any thread, also from a function of a request: it writes nothing more, and ends in the next step. One that
  /// has ended stays as it is.
  void cancel(Id id) {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(id);
  }
  /// From any thread: nothing more is submitted. What was submitted is served.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    work_.notify_one();
  }

  /// One pass, then the functions of the requests that it concerns. Whether any request has not ended yet. What an
  /// on_end throws leaves here; step() may be called again.
  bool step() {
    collect();
    tell();  // what has ended holds nothing any more
    admit();
    pass();
    tell();
    return busy();
  }
  /// Waits until there is something to do. False: never again.
  bool wait() {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [&] { return closed_ || busy() || !incoming_.empty(); });
    return busy() || !incoming_.empty();
  }
  /// Serves until the server is closed and everything has ended.
  void run() {
    while (wait()) step();
  }
  /// Requests whose tokens are being read or written, and those that wait to be admitted.
  int running() const { return static_cast<int>(running_.size()); }
  int waiting() const { return static_cast<int>(queue_.size()); }

 private:
  using P = typename E::P;

  struct Job {
    Job(Id of, Request<E> asked) : id(of), request(std::move(asked)), writing(request.state, request.options) {
      enough = detail::enough_choices(request.options, E::V);
    }
    TextState& state() { return request.state; }
    int waits() const { return static_cast<int>(request.state.ids.size()); }
    /// Rows of text that it may still take: of what waits, and of what it writes but its last token.
    int rows() const {
      const int writes = request.options.max_new_tokens - static_cast<int>(writing.written().ids.size()) - 1;
      return std::min(waits() + std::min(writes, E::context_size), E::context_size - request.state.rows.count());
    }

    Id id;
    Request<E> request;
    detail::Writing writing;
    int enough;          ///< choices that it asks for; 0: all logits
    bool begun = false;  ///< its prompt is there
    Choice chosen{};     ///< in this pass; id -1: none
    StopReason why = StopReason::failed;
    std::string error;
  };
  using Jobs = std::list<Job>;
  using Place = typename Jobs::iterator;

  bool busy() const { return !queue_.empty() || !running_.empty() || !ended_.empty(); }

  void end(Jobs& jobs, Place job, StopReason why, std::string error = {}) {
    job->why = why;
    job->error = std::move(error);
    ended_.splice(ended_.end(), jobs, job);
    blocked_ = false;
  }
  void tell() {
    while (!ended_.empty()) {
      Jobs one;
      one.splice(one.end(), ended_, ended_.begin());
      Job& job = one.front();
      Served served{job.writing.written(), std::move(job.state()), std::move(job.error)};
      served.written.stopped = job.why;
      if (job.request.on_end) job.request.on_end(served);
    }
  }

  bool is_cancelled(Id id) {
    const std::lock_guard lock(mutex_);
    return std::find(cancelled_.begin(), cancelled_.end(), id) != cancelled_.end();
  }
  void collect() {
    std::vector<Id> cancelled;
    {
      const std::lock_guard lock(mutex_);
      queue_.splice(queue_.end(), incoming_);
      cancelled.swap(cancelled_);
    }
    for (const Id id : cancelled)
      for (Jobs* jobs : {&queue_, &running_}) {
        const auto job = std::find_if(jobs->begin(), jobs->end(), [&](const Job& j) { return j.id == id; });
        if (job != jobs->end()) stop(*jobs, job, StopReason::cancelled);
      }
  }
  /// Ends a request that was writing: the rest of its text is streamed.
  void stop(Jobs& jobs, Place job, StopReason why) {
    std::string error;
    try {
      job->writing.end(why);
    } catch (const std::exception& e) {
      why = StopReason::failed;
      error = e.what();
    }
    end(jobs, job, why, std::move(error));
  }

  void admit() {
    int reserved = 0;
    for (const Job& job : running_) reserved += job.rows();
    while (!blocked_ && !queue_.empty() && running() < options_.running) {
      const Place job = queue_.begin();
      try {
        begin(*job);
        const int needed = job->rows(), free = engine_.text_rows() - engine_.text_rows_used() - reserved;
        if (needed > free) {
          if (!running_.empty()) return;
          fail("serve", "the request may take ", needed, " rows of text, ", free, " of ", engine_.text_rows(),
               " are free and nothing runs that could free more; drop sequences or give the engine more text rows");
        }
        reserved += needed;
        running_.splice(running_.end(), queue_, job);
      } catch (const CacheFull& e) {  // of media: those of running requests will be free
        blocked_ = !running_.empty();
        if (!blocked_) refuse(job, e.what());
      } catch (const std::exception& e) {
        refuse(job, e.what());
      }
    }
  }
  /// What is told at once leaves its media and rows to the next in the queue.
  void refuse(Place job, const char* error) {
    end(queue_, job, StopReason::failed, error);
    tell();
  }
  void begin(Job& job) {
    if (job.begun) return;
    if (job.request.prompt) job.state() = job.request.prompt(engine_);
    engine_.check_state(job.state());
    job.begun = true;
  }

  void pass() {
    if (running_.empty()) return;
    std::vector<Place> all, partly;  // read to the end of what waits, and a piece of it
    std::vector<int> counts, pieces, last;
    int room = options_.tokens_a_pass;
    for (const Job& job : running_) room -= job.waits() == 1;
    for (Place job = running_.begin(); job != running_.end(); ++job) {
      const int waits = job->waits(), n = waits == 1 ? 1 : std::min(waits, room);
      if (waits > 1) room -= n;
      if (n == waits) {
        all.push_back(job);
      } else if (n > 0) {
        partly.push_back(job);
        pieces.push_back(n);
      }
    }
    // Requests whose tokens are chosen alike lie together.
    std::sort(all.begin(), all.end(), [](Place a, Place b) {
      const auto of_a = alike(*a), of_b = alike(*b);
      return of_a != of_b ? of_a < of_b : a->id < b->id;
    });
    std::vector<TextState*> states;
    int rows = 0;
    for (const Place job : all) {
      states.push_back(&job->state());
      counts.push_back(job->waits());
      last.push_back((rows += job->waits()) - 1);
    }
    for (const Place job : partly) states.push_back(&job->state());
    counts.insert(counts.end(), pieces.begin(), pieces.end());
    const auto scope = engine_.context().scope();
    bool read = false;
    try {
      const auto hidden = engine_.read(states, counts);
      read = true;
      if (!all.empty())
        engine_.with_logits(hidden, last, [&](const Rows<P, E::V>& y) {
          for (std::size_t from = 0, to = 0; from < all.size(); from = to) {
            while (to < all.size() && alike(*all[to]) == alike(*all[from])) ++to;
            choose(std::span(all).subspan(from, to - from),
                   y.slice(static_cast<int>(from), static_cast<int>(to - from)));
          }
        });
    } catch (const std::exception& e) {
      // What was not read, such as where somebody else has taken rows, is read without the request that came last.
      if (!read) return end(running_, std::prev(running_.end()), StopReason::failed, e.what());
      for (const Place job : all) job->error = e.what();
    }
    for (const Place job : all) take(job);
  }
  static auto alike(const Job& job) { return std::tie(job.enough, job.request.options.banned); }

  /// The next tokens of requests that are alike, out of their logits.
  template <class Y>
  void choose(std::span<const Place> jobs, const Y& y) {
    const auto n = static_cast<std::size_t>(jobs[0]->enough);
    const auto each = [&](const auto& choice_of) {
      for (std::size_t i = 0; i < jobs.size(); ++i) try {
          jobs[i]->chosen = choice_of(i, *jobs[i]);
        } catch (const std::exception& e) {
          jobs[i]->error = e.what();
        }
    };
    if (n > 0) {
      const auto best = engine_.likeliest(y, static_cast<int>(n), jobs[0]->request.options.banned);
      each([&](std::size_t i, Job& job) {
        return detail::choose(std::span<const Choice>(best).subspan(i * n, n), job.request.options,
                              job.writing.uniform());
      });
    } else {
      const auto seen = host_copy(engine_.context(), y);
      std::vector<typename E::Logit> logits(seen.begin(), seen.end());
      each([&](std::size_t i, Job& job) {
        return detail::choose(std::span(logits).subspan(i * std::size_t{E::V}, std::size_t{E::V}), job.state(),
                              job.request.options, job.writing.uniform());
      });
    }
  }
  /// What a request makes of its next token.
  void take(Place job) {
    const Choice chosen = std::exchange(job->chosen, {});
    if (is_cancelled(job->id)) return;  // collect() ends it
    try {
      if (!job->error.empty()) return end(running_, job, StopReason::failed, job->error);
      const auto on_token = [&](int id) {
        if (job->request.on_token) job->request.on_token(id);
      };
      if (job->writing.take(chosen, E::context_size, on_token)) return;
      end(running_, job, job->writing.written().stopped);
    } catch (const std::exception& e) {
      end(running_, job, StopReason::failed, e.what());
    }
  }

  E& engine_;
  ServeOptions options_;
  Jobs queue_, running_, ended_;  ///< the driving thread's
  bool blocked_ = false;          ///< the first in the queue waits for media until something has ended

  std::mutex mutex_;  ///< of what follows
  std::condition_variable work_;
  Jobs incoming_;
  std::vector<Id> cancelled_;
  Id last_ = 0;
  bool closed_ = false;
};

}  // namespace flamingo
