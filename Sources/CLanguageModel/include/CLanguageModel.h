#ifndef C_LANGUAGE_MODEL_H
#define C_LANGUAGE_MODEL_H

#include <stdint.h>

#pragma clang assume_nonnull begin

// The language detector's model, as scripts/train-language-model wrote it. Everything is constant for the process's life.

/// The embedding table: `language_model_row_count()` rows of 16 bytes. The low four bits of byte i are dimension i, the
/// high four bits dimension i + 16; 8 stands for zero.
const uint8_t *language_model_rows(void);
int32_t language_model_row_count(void);

/// 32 weights per class, classes in the order of the four lists below.
const float *language_model_weights(void);
/// One number per class.
const float *language_model_biases(void);

/// The ISO 639-1 codes of the classes of each script, separated by single spaces. A code may occur twice.
const char *language_model_latin(void);
const char *language_model_cyrillic(void);
const char *language_model_arabic(void);
const char *language_model_devanagari(void);

#pragma clang assume_nonnull end

#endif
