// flamingo-data extract: webpages to documents.
#include <flamingo/data/web/extract.hpp>
#include <flamingo/train/progress.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"

namespace flamingo::data_command {

namespace {

constexpr std::string_view extract_usage =
    "flamingo-data extract OUTPUT INPUT...   pages (.html, .htm, .xhtml), folders of them, archives (.warc, .warc.gz)\n"
    "  --processes N           how many work (1)\n"
    "  --site ADDRESS=FOLDER   where the pictures of addresses that begin so lie; may be repeated\n"
    "  --alt no|lone|always    whether alt texts become text: lone, where a picture has no caption (no)\n"
    "  --language any          keep other languages than English too\n"
    "  --without-images        keep pages without pictures too\n"
    "  --image-pages N         a picture on more pages of one site is decoration (20)\n"
    "  --license TEXT          of pages that declare none\n"
    "Killed, it goes on when called again in the same way.\n";

int number_of(const std::string& text, std::string_view option) {
  check(!text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == std::string::npos, "extract",
        option, " is '", text, "', expected a number");
  return std::atoi(text.c_str());
}

void print(const web::Tallies& tallies, std::string_view what) {
  std::cout << what << ": " << tallies.total() << '\n';
  const io::Json rules = tallies.json();
  for (const io::JsonMember& rule : rules.as_object())
    std::cout << "  " << rule.value.at("count").as_integer() << ' ' << rule.name << '\n';
}

}  // namespace

int extract(Arguments arguments) {
  web::ExtractionOptions options;
  std::vector<std::filesystem::path> places;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value = [&]() -> const std::string& {
      check(i + 1 < arguments.size(), "extract", argument, " has no value");
      return arguments[++i];
    };
    if (argument == "--help") {
      std::cout << extract_usage;
      return 0;
    }
    if (argument == "--processes") {
      options.processes = number_of(value(), argument);
    } else if (argument == "--site") {
      const std::string& site = value();
      const std::size_t equals = site.rfind('=');
      check(equals != std::string::npos && equals > 0, "extract", "--site is '", site, "', expected ADDRESS=FOLDER");
      options.sites.push_back({site.substr(0, equals), site.substr(equals + 1)});
    } else if (argument == "--alt") {
      const std::string& which = value();
      check(which == "no" || which == "lone" || which == "always", "extract", "--alt is '", which,
            "', expected no, lone or always");
      options.alt = which == "no"     ? web::AltText::drop
                    : which == "lone" ? web::AltText::without_caption
                                      : web::AltText::always;
    } else if (argument == "--language") {
      check(value() == "any", "extract", "--language knows 'any' alone; without it pages are English");
      options.page.english_only = false;
    } else if (argument == "--without-images") {
      options.images_needed = false;
    } else if (argument == "--image-pages") {
      options.most_pages_of_image = static_cast<std::size_t>(number_of(value(), argument));
    } else if (argument == "--license") {
      options.license = value();
    } else {
      check(!argument.starts_with("--"), "extract", "there is no option ", argument, "; --help lists them");
      places.emplace_back(argument);
    }
  }
  if (places.size() < 2) {
    std::cerr << extract_usage;
    return 2;
  }
  const bool terminal = rewrites_lines(STDERR_FILENO);
  std::optional<Progress> progress;
  std::string stage;
  const std::filesystem::path output = places.front();
  web::Extraction extraction({places.begin() + 1, places.end()}, output, options);
  const web::ExtractionReport report = extraction.run([&](const web::ExtractionProgress& p) {
    if (stage != p.stage) progress.emplace(std::cerr, stage = p.stage, static_cast<long>(p.total), terminal);
    progress->report(static_cast<long>(p.done), std::to_string(p.pages) + " pages");
  });
  print(report.pages, "pages");
  print(report.images, "pictures on pages that passed the rules of texts");
  std::cout << "Samples of each: " << (output / "report.json").string() << '\n';
  return 0;
}

}  // namespace flamingo::data_command
