// examples/evaluation for a tiny random OpenFlamingo: its folder is written, opened, run by a plan, interrupted by
// nobody and reported. evaluate_checkpoint TESTS_FOLDER
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <set>

#include "../../examples/evaluation/any_checkpoint.hpp"
#include "io/files.hpp"
#include "model/open_flamingo_folder.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/model/load.hpp>

namespace {

using namespace flamingo;
using P = Cpu<float>;
namespace fs = std::filesystem;

constexpr auto small = test::small_open_flamingo(/*image=*/20, /*vocabulary=*/1111, /*context=*/200);

void write_checkpoint(const fs::path& folder, const fs::path& tokenizer) {
  test::OpenFlamingoWeights<small, P>().write(folder);
  for (const auto& file : fs::directory_iterator(tokenizer))
    if (file.is_regular_file()) fs::copy_file(file.path(), folder / "lm" / file.path().filename());
}

/// Uniform pictures of eight colours, named; an animation of three of them.
void write_data(const fs::path& data) {
  fs::create_directories(data / "frames");
  constexpr const char* names[] = {"black", "blue", "green", "cyan", "red", "magenta", "yellow", "white"};
  std::ofstream items(data / "items.jsonl"), moving(data / "moving.jsonl");
  for (int c = 0; c < 8; ++c)
    for (int n = 0; n < 3; ++n) {
      io::Image image{24 + 6 * n, 24, {}};
      for (int p = 0; p < image.width * image.height; ++p)
        for (const int bit : {4, 2, 1}) image.rgb.push_back(c & bit ? std::uint8_t{230} : std::uint8_t{20});
      const std::string name = std::to_string(c) + std::to_string(n);
      io::write_png(data / (name + ".png"), image);
      items << "{\"id\": \"" << name << "\", \"media\": [\"" << name << ".png\"], \"answers\": [\"" << names[c]
            << "\"], \"type\": \"" << names[c] << "\"}\n";
      if (n == 0 && c < 3) io::write_png(data / "frames" / (name + ".png"), image);
    }
  moving << R"({"id": "m0", "media": [{"video": "frames"}], "answers": ["brighter"]})" << '\n'
         << R"({"id": "m1", "media": [{"video": "frames"}], "answers": ["darker"]})" << '\n';
  std::ofstream(data / "plan.json") << R"({"title": "A random OpenFlamingo", "tasks": [
    {"name": "colours", "kind": "classification", "asking": "choose", "items": "items.jsonl",
     "support": "items.jsonl", "metrics": ["accuracy", "top-5"], "queries": 8, "shots": [0, 2],
     "supports": ["random", "rices"], "controls": ["blank", "shuffled", "text_only"], "published": "hatefulmemes"},
    {"name": "written", "kind": "caption", "asking": "write", "items": "items.jsonl", "support": "items.jsonl",
     "metrics": ["keyword F1", "CIDEr-D"], "queries": 4, "text_only_shots": 2, "max_new_tokens": 4},
    {"name": "episodes", "kind": "classification", "asking": "choose", "items": "items.jsonl",
     "metrics": ["accuracy"], "ways": 5, "queries": 6, "shots": [0, 1, 2], "controls": ["shuffled_labels"]},
    {"name": "moving", "kind": "classification", "asking": "choose", "items": "moving.jsonl",
     "metrics": ["balanced accuracy"], "controls": ["single_frame", "shuffled_frames"]}]})";
}

/// A folder of the same names and sizes but other bytes is another checkpoint, wherever they differ in a small file,
/// and in a large one where all of them do.
void check_hash() {
  const tests::TemporaryFolder folder;
  const fs::path file = folder.path() / "weights.bin";
  const auto hash_of = [&](const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
    return evaluation::hash_of_folder(folder.path());
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{10'000}}) {
    const std::string first = hash_of(std::string(size, 'a'));
    check(hash_of(std::string(size, 'a')) == first, "evaluate_checkpoint", "the same folder has another hash");
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1}) {
      if (at >= size) continue;
      std::string other(size, 'a');
      other[at] = 'b';
      check(hash_of(other) != first, "evaluate_checkpoint", "byte ", at, " of ", size, " is not told by the hash");
    }
  }
  constexpr std::size_t large = (std::size_t{33} << 20) + 5;
  const std::string first = hash_of(std::string(large, 'a'));
  check(hash_of(std::string(large, 'b')) != first, "evaluate_checkpoint", "another large file has the same hash");
  std::string last(large, 'a');
  last.back() = 'b';
  check(hash_of(last) != first, "evaluate_checkpoint", "the last byte is not told by the hash");
}

void check_recent() {
  evaluation::Recent<int> kept(100);
  kept.put("a", 1, 40);
  kept.put("b", 2, 40);
  check(*kept.find("a") == 1, "evaluate_checkpoint", "what is kept is lost");
  check(kept.put("c", 3, 40) == 3, "evaluate_checkpoint", "another value is kept");
  check(kept.find("a") && !kept.find("b") && kept.find("c") && kept.bytes() == 80 && kept.size() == 2,
        "evaluate_checkpoint", "not the longest unused one went");
  kept.put("d", 4, 1000);
  check(kept.size() == 1 && *kept.find("d") == 4, "evaluate_checkpoint", "the newest one did not stay");
}

int run(const fs::path& tests) {
  check_hash();
  check_recent();
  const tests::TemporaryFolder folder;
  const fs::path model = folder.path() / "model", data = folder.path() / "data", out = folder.path() / "out";
  write_checkpoint(model, tests / "goldens" / "tokenizers" / "hf_neox");
  write_data(data);
  std::vector<std::string> words{model.string(), (data / "plan.json").string(),
                                 data.string(),  out.string(),
                                 "--threads",    "1",
                                 "--json",       (folder.path() / "numbers.json").string()};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  const auto go = [&] { return evaluation::run_checkpoint<small>(pointers, "usage\n"); };
  check(go() == 0, "evaluate_checkpoint", "the program failed");
  const std::string first = tests::read_bytes(folder.path() / "numbers.json");
  check(go() == 0 && tests::read_bytes(folder.path() / "numbers.json") == first, "evaluate_checkpoint",
        "resumed, it has other numbers");
  const io::Json results = io::Json::parse(first);
  const auto& tasks = results.at("tasks").as_array();
  check(tasks.size() == 4 && tasks[0].at("runs").as_array().size() == 6, "evaluate_checkpoint", "runs are missing");
  for (const io::Json& task : tasks)
    for (const io::Json& r : task.at("runs").as_array())
      check(std::isfinite(r.at("scores").at(task.at("metric").as_string()).at("mean").as_double()),
            "evaluate_checkpoint", "a score is not a number");
  std::set<std::string> scores;
  for (const io::Json& example : tasks[0].at("examples").as_array())
    for (const io::Json& choice : example.at("choices").as_array()) scores.insert(choice.at("score").dump());
  check(scores.size() > 20 && !scores.contains("null"), "evaluate_checkpoint", "scores of candidates are all the same");
  const auto& looked = tasks[0].at("examples").as_array()[0].at("looked").as_array();
  check(!looked.empty() && looked[0].at("columns").as_integer() == 4, "evaluate_checkpoint",
        "no attention over the grid of 4 x 4");
  const std::string checked = "python3 " + (tests / "eval" / "report" / "read_page.py").string() + " " +
                              (out / "report.html").string() + " " + (folder.path() / "numbers.json").string();
  return std::system(checked.c_str()) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  flamingo::check(argc == 2, "evaluate_checkpoint", "usage: evaluate_checkpoint TESTS_FOLDER");
  return run(argv[1]);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
