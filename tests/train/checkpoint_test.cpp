#include <flamingo/train/checkpoint.hpp>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "io/files.hpp"
#include "support/platforms.hpp"
#include "train/trainer_case.hpp"

namespace checkpoint_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

/// A training program: continues where its checkpoint says, saves after each update.
template <Platform P>
void train(const fs::path& checkpoint, long steps) {
  using Case = TrainerCase<P>;
  Case c;
  if (fs::exists(checkpoint)) load_checkpoint(checkpoint, c.trainer);
  while (c.trainer.optimizer.steps() < steps) {
    c.trainer.update({Case::dataset("a", 1, 7), Case::dataset("b", 0.3, 900)});
    save_checkpoint(checkpoint, c.trainer);
  }
}

/// The same in a process of its own.
pid_t start_training(const fs::path& checkpoint, long steps) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      train<Cpu<float>>(checkpoint, steps);
      status = 0;
    } catch (...) {
    }
    ::_exit(status);
  }
  REQUIRE(child > 0);
  return child;
}
/// Whether it had ended by itself, well.
bool killed_after(pid_t child) {
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

template <Platform P>
bool same(const TrainerCase<P>& a, const TrainerCase<P>& b) {
  return a.trainer.weights.flat == b.trainer.weights.flat &&
         a.trainer.optimizer.first.flat == b.trainer.optimizer.first.flat &&
         a.trainer.optimizer.second.flat == b.trainer.optimizer.second.flat &&
         a.trainer.optimizer.steps() == b.trainer.optimizer.steps();
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a checkpoint gives everything back, bit for bit", "[checkpoint]", Platforms) {
  using Case = TrainerCase<TestType>;
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.safetensors";
  Case straight, resumed;
  for (int i = 0; i < 3; ++i) straight.trainer.update({Case::dataset("a", 1, 7)});
  save_checkpoint(path, straight.trainer, {{"data", "where the loaders are"}});
  CHECK(load_checkpoint(path, resumed.trainer) == 3);
  CHECK((checkpoint_note(path, "data") == "where the loaders are" && checkpoint_note(path, "other").empty()));
  CHECK(same(resumed, straight));
  for (Case* c : {&straight, &resumed})  // and nothing else carries over from step to step
    for (int i = 0; i < 2; ++i) c->trainer.update({Case::dataset("a", 1, 7)});
  CHECK(same(resumed, straight));
}

TEST_CASE("training killed at any moment and resumed gives the same bits", "[checkpoint]") {
  constexpr long steps = 60;
  const TemporaryFolder folder;
  const fs::path straight = folder.path() / "straight.safetensors", killed = folder.path() / "killed.safetensors";
  const auto begin = std::chrono::steady_clock::now();
  train<Cpu<float>>(straight, steps);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;

  // Once in the middle for certain, then wherever it hits.
  const pid_t first = start_training(killed, steps);
  for (int wait = 0; !fs::exists(killed) && wait < 60000; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(killed_after(first));
  TrainerCase<Cpu<float>> middle;
  const long reached = load_checkpoint(killed, middle.trainer);
  CHECK((reached > 0 && reached < steps));
  Random draw(59);
  for (int i = 0; i < 8; ++i) {
    const pid_t child = start_training(killed, steps);
    std::this_thread::sleep_for(whole * (0.3 * static_cast<double>(draw.uniform())));
    killed_after(child);
  }
  train<Cpu<float>>(killed, steps);
  CHECK(read_bytes(killed) == read_bytes(straight));
}

TEST_CASE("a damaged checkpoint ends in one clear error and changes nothing", "[checkpoint]") {
  using P = Cpu<float>;
  using Case = TrainerCase<P>;
  using Connect = Case::Trains::Connect;
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "run.safetensors";
  Case c, untouched;
  c.trainer.update({Case::dataset("a", 1, 7)});
  save_checkpoint(path, c.trainer);
  const std::string whole = read_bytes(path);
  const auto error = [&](const fs::path& file) {
    const std::string text = error_of([&] { load_checkpoint(file, untouched.trainer); });
    CHECK(same(untouched, Case()));
    CHECK_THAT(text, Catch::Contains(file.string()));
    CHECK(text.find('\n') == std::string::npos);
    return text;
  };
  for (const std::size_t size : {std::size_t{7}, std::size_t{8}, whole.size() / 3, whole.size() - 1}) {
    INFO(size << " of " << whole.size() << " bytes");
    CHECK_THAT(error(folder.write("cut.safetensors", whole.substr(0, size))), Catch::StartsWith("[safetensors] "));
  }
  error(folder.path() / "missing.safetensors");

  TensorWriter writer(io::DType::f32);
  writer.add<Connect>(c.trainer.weights.views, detail::after("weights."));
  const auto tensors = writer.tensors();
  const fs::path partial = folder.path() / "partial.safetensors";
  io::write_safetensors(partial, tensors, {{"step", "3"}});
  CHECK_THAT(error(partial), Catch::StartsWith("[load] ") && Catch::Contains("missing 'first.resampler.latents'"));
  io::write_safetensors(partial, tensors);
  CHECK_THAT(error(partial), Catch::EndsWith(" has no 'step' in its metadata"));
  io::write_safetensors(partial, tensors, {{"step", "3"}, {"xattn", "{.every = 7}"}});
  CHECK_THAT(error(partial), Catch::Contains(": its xattn is {.every = 7}, compiled is {"));
  for (const std::string step : {"many", "", "3x", "-1", "99999999999999999999999"}) {
    io::write_safetensors(partial, tensors, {{"step", step}});
    CHECK_THAT(error(partial), Catch::EndsWith(": its step is '" + step + "', expected a number of steps"));
  }
}

}  // namespace checkpoint_test
