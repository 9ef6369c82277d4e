// Captions pictures with 0 and 4 examples in context, answers a closed-ended question about each, and writes a page
// that shows the pictures, the answers and where the cross-attention looked. examples/run runs it.
#include <fstream>
#include <iostream>

#include "page.hpp"
#include "session.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/io/json.hpp>

namespace {

using namespace caption;
using flamingo::io::Json;

struct Shown {
  std::filesystem::path file;
  std::string truth;  ///< empty where it is not known
  std::string note;
  std::vector<std::string> choices;
};

/// The pictures of examples/pictures, and the support pictures of the 4-shot prompt.
struct Album {
  std::vector<Shown> pictures;
  std::vector<std::pair<std::filesystem::path, std::string>> support;

  static Album read(const std::filesystem::path& folder) {
    std::ifstream in(folder / "pictures.json");
    flamingo::check(in.good(), "album", (folder / "pictures.json").string(), ": cannot be opened");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const Json json = Json::parse(text, (folder / "pictures.json").string());
    Album album;
    for (const Json& p : json.at("pictures").as_array()) {
      Shown shown{folder / p.at("file").as_string(),
                  p.at("caption").as_string(),
                  p.at("split").as_string() == "photograph" ? "photograph" : "held-out concept",
                  {}};
      for (const Json& choice : p.at("choices").as_array()) shown.choices.push_back(choice.as_string());
      album.pictures.push_back(std::move(shown));
    }
    for (const Json& p : json.at("support").as_array())
      album.support.push_back({folder / p.at("file").as_string(), p.at("caption").as_string()});
    return album;
  }
};

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  return text;
}

int run(int argc, char** argv) {
  flamingo::check(argc >= 5, "caption", "usage: caption BACKBONES CONNECTOR ALBUM PAGE.html [PICTURE...]");
  const std::filesystem::path page_path = argv[4];
  flamingo::Context<P> ctx;
  const Backbones backbones = Backbones::load(argv[1], flamingo::Held::as_stored, flamingo::Arrangement::panels);
  flamingo::Store<Connector, P> connector;
  flamingo::load_connector<config, P>(argv[2], connector.views);
  Album album = Album::read(argv[3]);
  if (argc > 5) {
    std::vector<std::string> names;
    for (const Shown& shown : album.pictures) names.push_back(shown.truth);
    album.pictures.clear();
    for (int i = 5; i < argc; ++i) album.pictures.push_back({argv[i], "", "your picture", names});
  }

  const auto look = [&](const std::filesystem::path& file) {
    const flamingo::io::Image image = flamingo::io::read_image(file);
    return Seen{file.string(), encode(ctx, backbones, std::span(&image, 1))};
  };
  Captioner captioner(ctx, backbones, connector.views);
  std::vector<Seen> support;
  std::vector<std::pair<const Seen*, std::string>> shots;
  const std::size_t four = std::min<std::size_t>(4, album.support.size());
  for (std::size_t i = 0; i < four; ++i) support.push_back(look(album.support[i].first));
  for (std::size_t i = 0; i < four; ++i) shots.push_back({&support[i], album.support[i].second});

  Page page(page_path, static_cast<int>(Encoder::features({0, config.vision.image, config.vision.image}).width));
  int named = 0, asked = 0;
  for (const Shown& shown : album.pictures) {
    const Seen seen = look(shown.file);
    auto alone = captioner.prompt({}, seen);
    auto question = alone;  // shares what both read
    auto after_four = captioner.prompt(shots, seen);
    const std::string zero_shot = trimmed(captioner.describe(alone).text);
    const std::string four_shot = trimmed(captioner.describe(after_four).text);
    std::string answer;
    if (!shown.choices.empty()) {
      const auto scores = captioner.rank(question, shown.choices);
      answer = shown.choices[flamingo::best_of(scores)];
      if (!shown.truth.empty()) {
        ++asked;
        named += answer == shown.truth;
      }
    }
    std::cout << shown.file.filename().string() << "\n    0-shot: " << zero_shot << "    4-shot: " << four_shot;
    if (!answer.empty()) std::cout << "    which of " << shown.choices.size() << ": " << answer;
    std::cout << std::endl;
    page.add({shown.file, shown.note, shown.truth, zero_shot, four_shot, answer, shown.choices,
              captioner.heat_of(seen, zero_shot)});
    captioner.drop_unused_media();
  }
  if (asked) std::cout << named << " of " << asked << " closed-ended questions answered rightly\n";
  page.write();
  std::cout << "page: " << page_path.string() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
