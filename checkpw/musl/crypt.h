/* The system's crypt.h, which lies where musl-gcc does not look. */
#include CRYPT_H
