/// Words and signs that the Treebank's tokenizer treats in ways of their own.
#pragma once
#include <string_view>

#include <flamingo/io/unicode.hpp>

namespace flamingo::detail {

/// Abbreviations that keep their period, in these spellings alone (lower case stands for any).
constexpr std::string_view any_case_abbreviations[] = {
    "jan",   "feb",   "mar",  "apr",  "jun",   "jul",  "aug",  "sep",   "sept",  "oct",     "nov",  "dec",    "mon",
    "tue",   "tues",  "wed",  "thu",  "thurs", "fri",  "ala",  "ariz",  "calif", "colo",    "conn", "ct",     "dak",
    "fla",   "ga",    "ind",  "kan",  "kans",  "ky",   "md",   "mich",  "minn",  "mo",      "mont", "neb",    "nev",
    "okla",  "penn",  "tenn", "va",   "vt",    "wis",  "wisc", "wyo",   "mr",    "mrs",     "ms",   "dr",     "drs",
    "prof",  "profs", "sen",  "sens", "rep",   "reps", "atty", "attys", "lt",    "col",     "gen",  "messrs", "gov",
    "govs",  "adm",   "rev",  "maj",  "sgt",   "cpl",  "pvt",  "mt",    "capt",  "st",      "ste",  "ave",    "pres",
    "lieut", "hon",   "brig", "cmdr", "comdr", "pfc",  "spc",  "supt",  "supts", "det",     "jr",   "sr",     "bros",
    "blvd",  "rd",    "esq",  "inc",  "co",    "cos",  "corp", "ltd",   "plc",   "bancorp", "bhd",  "assn",   "univ",
    "intl",  "sys",   "invt", "elec", "natl",  "etc",  "al",   "seq",   "ph",    "tel",     "est",  "ext",    "vs",
    "cf",    "dept",  "asst", "ft",   "sq",    "bldg", "mme",  "mlle",  "alex",  "wm"};
/// Those that are words in lower case, and keep a period only with a capital.
constexpr std::string_view capital_abbreviations[] = {"Az",  "Ark", "Del", "Ill",  "Mass", "Miss",
                                                      "Ore", "Pa",  "Tex", "Wash", "La"};
/// Those of that spelling alone, or in lower case too.
constexpr std::string_view few_abbreviations[] = {"Pty",  "pty", "Ptys", "ptys", "Ppty",
                                                  "ppty", "Mfg", "mfg",  "Mtg",  "mtg"};
/// Those that keep it before a number.
constexpr std::string_view number_abbreviations[] = {"no", "nos", "prop", "fig", "figs", "pp", "op", "ca"};
/// Words with an apostrophe inside that stay whole.
constexpr std::string_view apostrophe_words[] = {"'n'",   "'em",    "'til",    "'till",      "'cause", "ol'",
                                                 "c'mon", "li'l",   "s'mores", "nor'easter", "ev'ry",  "e'er",
                                                 "nat'l", "cont'd", "dunkin'", "somethin'"};

/// Words that begin a sentence: what stands before them and looks like an initial ("plan B. The") has ended one.
constexpr std::string_view sentence_starters[] = {
    "A",    "About", "According", "Additionally", "After", "An",    "As",    "At",    "But",   "Earlier",
    "He",   "Her",   "Here",      "However",      "If",    "In",    "It",    "Last",  "Many",  "More",
    "Mr.",  "Ms.",   "Now",       "Once",         "One",   "Other", "Our",   "She",   "Since", "So",
    "Some", "Such",  "That",      "The",          "Their", "Then",  "There", "These", "They",  "This",
    "We",   "What",  "When",      "While",        "Yet",   "You"};
/// Signs outside ASCII that are tokens; other signs are left out.
constexpr io::CodeRange signs[] = {
    {0xa1, 0xa1},     {0xa5, 0xa9},     {0xac, 0xac},     {0xae, 0xb4},     {0xb6, 0xb9},     {0xbf, 0xbf},
    {0xd7, 0xd7},     {0xf7, 0xf7},     {0x37e, 0x37e},   {0x387, 0x387},   {0x589, 0x589},   {0x5be, 0x5be},
    {0x5c0, 0x5c0},   {0x5c3, 0x5c3},   {0x5c6, 0x5c6},   {0x5f3, 0x5f4},   {0x600, 0x603},   {0x606, 0x60c},
    {0x614, 0x614},   {0x61b, 0x61b},   {0x61e, 0x61f},   {0x66a, 0x66a},   {0x66d, 0x66d},   {0x6d4, 0x6d4},
    {0x700, 0x70d},   {0x7f6, 0x7f8},   {0x964, 0x965},   {0xe3f, 0xe3f},   {0xe4f, 0xe4f},   {0x1fbd, 0x1fbd},
    {0x2016, 0x2017}, {0x201a, 0x201a}, {0x201e, 0x2023}, {0x2030, 0x2038}, {0x203b, 0x203b}, {0x203e, 0x2042},
    {0x2044, 0x2044}, {0x2070, 0x2070}, {0x2074, 0x207e}, {0x2080, 0x208e}, {0x20a4, 0x20a4}, {0x2100, 0x2101},
    {0x2103, 0x2106}, {0x2108, 0x2109}, {0x2114, 0x2114}, {0x2116, 0x2118}, {0x211e, 0x2123}, {0x2125, 0x2125},
    {0x2127, 0x2127}, {0x2129, 0x2129}, {0x212e, 0x212e}, {0x213a, 0x213b}, {0x2140, 0x2144}, {0x214a, 0x214d},
    {0x214f, 0x214f}, {0x2155, 0x215e}, {0x2190, 0x2bff}, {0x3001, 0x3002}, {0x3012, 0x3012}, {0x30fb, 0x30fb},
    {0xff01, 0xff0f}, {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xffe0, 0xffe1}, {0xffe5, 0xffe6}};

}  // namespace flamingo::detail
