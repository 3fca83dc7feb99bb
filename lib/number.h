/* number: numbers in protocols, file names and options. */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a number of length octets: decimal digits only, at least one. Larger numbers become
 * UINT64_MAX. Returns false, and leaves *number alone, if the octets are not a number. */
/*@ requires \valid_read(octets + (0 .. length - 1));
    requires \valid(number) && \separated(number, octets + (0 .. length - 1));
    assigns *number;
    ensures !\result ==> *number == \old(*number);
    ensures \result ==> length > 0;
    ensures \result ==> \forall integer i; 0 <= i < length ==> '0' <= octets[i] <= '9'; */
bool number_parse(const char *octets, size_t length, uint64_t *number);

/* Reads the decimal digits that the octets begin with. Puts their value into *number, 0 if
 * there are none; larger numbers become UINT64_MAX. Returns how many digits there are. */
/*@ requires \valid_read(octets + (0 .. length - 1));
    requires \valid(number) && \separated(number, octets + (0 .. length - 1));
    assigns *number;
    ensures \result <= length;
    ensures \forall integer i; 0 <= i < \result ==> '0' <= octets[i] <= '9'; */
size_t number_take(const char *octets, size_t length, uint64_t *number);

/* The digits of the largest number. */
#define NUMBER_DIGITS 20

/* Writes a number in decimal, not terminated; returns how many digits it has. */
/*@ requires \valid(digits + (0 .. NUMBER_DIGITS - 1));
    assigns digits[0 .. NUMBER_DIGITS - 1];
    ensures 1 <= \result <= NUMBER_DIGITS; */
size_t number_write(char digits[NUMBER_DIGITS], uint64_t number);

/* The hexadecimal digits of the largest number. */
#define NUMBER_HEX_DIGITS 16

/* Writes a number in hexadecimal, in lower case and not terminated. The first writes as many
 * digits as the number has, and returns how many; the second all, with zeros in front. */
/*@ requires \valid(digits + (0 .. (number <= 0xffff ? 4 : NUMBER_HEX_DIGITS) - 1));
    assigns digits[0 .. (number <= 0xffff ? 4 : NUMBER_HEX_DIGITS) - 1];
    ensures 1 <= \result <= (number <= 0xffff ? 4 : NUMBER_HEX_DIGITS); */
size_t number_write_hex(char *digits, uint64_t number);
/*@ requires \valid(digits + (0 .. NUMBER_HEX_DIGITS - 1));
    assigns digits[0 .. NUMBER_HEX_DIGITS - 1]; */
void number_write_all_hex(char digits[NUMBER_HEX_DIGITS], uint64_t number);

#endif
