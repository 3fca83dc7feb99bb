/* lower: see lower.h. */
#include "lib/lower.h"

char lower_of(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void lower_octets(char *octets, size_t length)
{
	/*@ loop invariant i <= length;
	    loop assigns i, octets[0 .. length - 1];
	    loop variant length - i; */
	for (size_t i = 0; i < length; i++)
		octets[i] = lower_of(octets[i]);
}
