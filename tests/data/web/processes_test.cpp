#include <flamingo/data/web/processes.hpp>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

namespace processes_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("flamingo_processes_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("each task is done once, whoever does it", "[processes]") {
  const Folder folder;
  const int processes = GENERATE(1, 3);
  std::size_t last_done = 0, last_counted = 0;
  in_processes(
      20, processes,
      [&](std::size_t task, const auto& count) {
        const std::filesystem::path file = folder.path / (std::to_string(processes) + "_" + std::to_string(task));
        if (std::filesystem::exists(file)) throw Error("twice");
        std::ofstream(file) << task;
        count(task);
      },
      [&](std::size_t done, std::size_t counted) { last_done = done, last_counted = counted; });
  CHECK(last_done == 20);
  CHECK(last_counted == 190);
  for (int task = 0; task < 20; ++task)
    CHECK(std::filesystem::exists(folder.path / (std::to_string(processes) + "_" + std::to_string(task))));
}

TEST_CASE("failures come back as errors", "[processes]") {
  const auto tick = [](std::size_t, std::size_t) {};
  const auto fails = [](std::size_t task, const auto&) {
    if (task == 3) fail("task", "number ", task, " is wrong");
  };
  CHECK_THROWS_WITH(in_processes(5, 1, fails, tick), "[task] number 3 is wrong");
  CHECK_THROWS_WITH(in_processes(5, 2, fails, tick), "[processes] [task] number 3 is wrong");
  const auto dies = [](std::size_t task, const auto&) {
    if (task == 1) std::raise(SIGKILL);
  };
  CHECK_THROWS_WITH(in_processes(4, 2, dies, tick), "[processes] a process ended by signal 9");
  CHECK_NOTHROW(in_processes(0, 4, dies, tick));
}

}  // namespace processes_test
