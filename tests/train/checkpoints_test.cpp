#include <flamingo/train/checkpoints.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/files.hpp"

namespace checkpoints_test {

using flamingo::Checkpoints;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

/// A run whose state is a text.
struct Run {
  fs::path folder;
  std::string state{};
  std::vector<std::string> told{};

  fs::path save(long step, const std::string& text, int keep = 3) {
    return Checkpoints(folder, keep).save(step, [&](const fs::path& path) {
      flamingo::io::AtomicFile file(path);
      file.write(text);
      file.commit();
    });
  }
  std::optional<long> resume() {
    told.clear();
    return Checkpoints(folder).resume([&](const fs::path& path) { state = read_bytes(path); },
                                      [&](const std::string& line) { told.push_back(line); });
  }
  std::size_t files() const { return Checkpoints(folder).files().size(); }
};

void damage(const fs::path& path, std::size_t at) {
  std::string bytes = read_bytes(path);
  bytes.at(at) ^= 4;
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("the last checkpoints stay, and the newest is read", "[checkpoints]") {
  const TemporaryFolder folder;
  Run run{folder.path() / "run"};
  CHECK(!run.resume());
  const fs::path first = run.save(7, "seven");
  CHECK(first.filename().string().starts_with("step-000000007-"));
  CHECK((run.resume() == 7 && run.state == "seven" && run.told.empty()));
  for (const long step : {8, 9, 10, 100}) run.save(step, "at " + std::to_string(step));
  CHECK((run.files() == 3 && !fs::exists(first)));
  CHECK((run.resume() == 100 && run.state == "at 100"));
  run.save(101, "all alone", 1);
  CHECK((run.files() == 1 && run.resume() == 101));
  CHECK_THROWS_WITH(Checkpoints(folder.path(), 0), "[checkpoints] got 0 to keep, expected at least 1");
}

TEST_CASE("a damaged checkpoint is told, and the one before it is read", "[checkpoints]") {
  const TemporaryFolder folder;
  Run run{folder.path()};
  const fs::path oldest = run.save(1, "one"), older = run.save(2, "two, longer"), newest = run.save(3, "three");
  for (std::size_t at = 0; at < 5; ++at) {  // each byte counts
    damage(newest, at);
    CHECK((run.resume() == 2 && run.state == "two, longer"));
    REQUIRE(run.told.size() == 1);
    CHECK_THAT(run.told[0],
               Catch::StartsWith("[checkpoints] " + newest.string() + ": the checksum of its 5 bytes is ") &&
                   Catch::Contains(", expected " + newest.stem().string().substr(15) + ": it is damaged"));
    damage(newest, at);
    CHECK((run.resume() == 3 && run.told.empty()));
  }
  fs::resize_file(newest, 0);
  fs::resize_file(older, 4);
  CHECK((run.resume() == 1 && run.state == "one" && run.told.size() == 2));
  damage(oldest, 0);
  CHECK_THAT(error_of([&] { run.resume(); }),
             Catch::StartsWith("[checkpoints] " + folder.path().string() + ": all 3 checkpoints are damaged"));
  damage(oldest, 0);

  // A run that was set back writes its own: the later ones are not its future.
  CHECK(run.resume() == 1);
  run.save(2, "two again");
  CHECK((run.resume() == 2 && run.state == "two again" && run.told.empty() && run.files() == 2));
}

TEST_CASE("what does not fit, what is unfinished and what is not ours", "[checkpoints]") {
  const TemporaryFolder folder;
  Run run{folder.path()};
  run.save(4, "four");
  // A whole file that the host refuses is no damage: nothing older is taken in its place.
  run.save(5, "five");
  CHECK(error_of([&] {
          Checkpoints(run.folder).resume([](const fs::path&) { flamingo::fail("load", "another config"); });
        }) == "[load] another config");
  // A writer that fails, and one that was killed, leave what was there.
  CHECK(error_of([&] {
          Checkpoints(run.folder).save(6, [](const fs::path&) { flamingo::fail("writer", "no room"); });
        }) == "[writer] no room");
  const fs::path killed = folder.write("unfinished.safetensors.tmp-17-0", "half");
  const fs::path other = folder.write("step-000000009-zzzzzzzz.safetensors", "not ours");
  const fs::path notes = folder.write("step-9-00000000.safetensors", "not ours either");
  CHECK((run.resume() == 5 && run.state == "five"));
  // Who only reads takes nothing away: another process may be writing.
  CHECK((fs::exists(killed) && fs::exists(other) && fs::exists(notes) && run.files() == 2));
  run.save(6, "six");
  CHECK((!fs::exists(killed) && fs::exists(other) && fs::exists(notes) && run.files() == 3));
}

TEST_CASE("of several processes one writes", "[checkpoints]") {
  const TemporaryFolder folder;
  Run run{folder.path()};
  run.save(3, "three");
  std::vector<fs::path> asked;
  Checkpoints other(folder.path(), 1, false);
  CHECK(other.save(4, [&](const fs::path& path) { asked.push_back(path); }).empty());
  CHECK(asked.size() == 1);  // it takes part
  CHECK((run.files() == 1 && run.resume() == 3));
}

TEST_CASE("a folder that cannot be made is one clear error", "[checkpoints]") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("file", "no folder");
  CHECK_THAT(error_of([&] { Checkpoints(file / "run"); }),
             Catch::StartsWith("[checkpoints] " + (file / "run").string()));
}

}  // namespace checkpoints_test
