// A studio in the browser, and a server for OpenAI's clients, of one loaded model: examples/studio/run starts it.
#include <charconv>
#include <csignal>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ending.hpp"
#include "http.hpp"
#include "models.hpp"

namespace {

constexpr const char* usage =
    "usage: studio [OPTION VALUE]... | --tiny [OPTION VALUE]...\n"
    "  --model FOLDER      the backbones, as examples/data/fetch puts them (build/backbones)\n"
    "  --connector FILE    what stands between them (examples/models/connector.safetensors)\n"
    "  --tiny              a model of random numbers instead, which needs no files\n"
    "  --shots FOLDER      pictures with captions for examples in the prompt (examples/pictures)\n"
    "  --host ADDRESS      127.0.0.1: this machine alone. Whoever reaches another address may use it: there is no "
    "login\n"
    "  --name HOST         by which browsers reach it, as often as it has names; others are refused\n"
    "  --port N            8080; 0: any that is free\n"
    "  --threads N         of each of its three contexts (one a core)\n"
    "  --running N         requests that are written at a time (4)\n"
    "  --waiting N         that wait for it; more are refused with 429 (16)\n"
    "  --seconds N         most that a request may take (120)\n"
    "  --tokens N          most that a request may ask for (1024)\n"
    "  --pictures N        most in a request (64)\n"
    "  --body-mb N         megabytes of a request (32)\n"
    "  --picture-mb N      megabytes of a picture's file (8)\n"
    "  --picture-mpixels N millions of pixels of a picture (25)\n"
    "  --attention-mb N    megabytes of where an answer looked (256)\n";

struct Options {
  studio::Weights weights{"build/backbones", "examples/models/connector.safetensors"};
  bool tiny = false;
  std::string shots = "examples/pictures", host = "127.0.0.1";
  std::vector<std::string> names;
  int port = 8080, waiting = 16;
  studio::DeskOptions desk;
  studio::Limits limits;
};

int number(std::string_view option, std::string_view text, int least, int most = std::numeric_limits<int>::max()) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  flamingo::check(error == std::errc{} && end == text.data() + text.size() && value >= least && value <= most, "studio",
                  option, ": expected a number from ", least, " to ", most, ", found '", text, "'");
  return value;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--tiny") {
      o.tiny = true;
      continue;
    }
    flamingo::check(i + 1 < argc, "studio", word, ": ", usage);
    const std::string_view value = argv[++i];
    const auto n = [&](int least, int most) { return number(word, value, least, most); };
    if (word == "--model")
      o.weights.folder = value;
    else if (word == "--connector")
      o.weights.connector = value;
    else if (word == "--shots")
      o.shots = value;
    else if (word == "--host")
      o.host = value;
    else if (word == "--name")
      o.names.emplace_back(value);
    else if (word == "--port")
      o.port = n(0, 65535);
    else if (word == "--threads")
      o.desk.threads = n(1, 4096);
    else if (word == "--running")
      o.desk.running = n(1, 256);
    else if (word == "--waiting")
      o.waiting = n(0, 4096);
    else if (word == "--seconds")
      o.limits.time = std::chrono::seconds(n(1, 86400));
    else if (word == "--tokens")
      o.limits.tokens = n(1, 1 << 20);
    else if (word == "--pictures")
      o.limits.pictures = n(1, 4096);
    else if (word == "--body-mb")
      o.limits.body = static_cast<std::size_t>(n(1, 2000)) << 20;
    else if (word == "--picture-mb")
      o.limits.picture = static_cast<std::size_t>(n(1, 2000)) << 20;
    else if (word == "--picture-mpixels")
      o.desk.max_pixels = std::int64_t{n(1, 1000)} * 1'000'000;
    else if (word == "--attention-mb")
      o.desk.attention = static_cast<std::size_t>(n(1, 1 << 20)) << 20;
    else
      flamingo::fail("studio", "unknown option ", word, '\n', usage);
  }
  o.limits.requests = o.desk.running + o.waiting;
  // Every request that is written may hold its pictures.
  o.desk.media = std::max(o.desk.media, o.desk.running * o.limits.pictures);
  return o;
}

int run(const Options& o) {
  studio::Ending ending;  // before any other thread
  std::signal(SIGPIPE, SIG_IGN);

  const auto writer = o.tiny ? studio::open_tiny(o.desk) : studio::open_model(o.weights, o.desk);
  studio::Http http(*writer, o.limits, studio::read_shots(o.shots));
  const int port = http.bind(o.host, o.port, o.names);
  const studio::Ending::Serving serving(ending, http);
  std::cout << "studio: " << writer->about().name << " at http://" << o.host << ':' << port << '/' << std::endl;
  http.serve();
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h")) {
    std::cout << usage;
    return 0;
  }
  return run(parse(argc, argv));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
