/* The unit tests include this name; here it is the one of the two files. */
#include <fief.h>
