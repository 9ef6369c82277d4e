// Names that system headers define as macros; a host may have included them first.
#define I "I is a macro of <complex.h>"
#define B0 "B0 is a macro of <termios.h>"
#define small "small is a macro of <windows.h>"
