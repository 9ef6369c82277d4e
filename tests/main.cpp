// The one main of all tests: Catch2's, compiled once (20 s).
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
