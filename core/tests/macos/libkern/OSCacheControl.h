/* In place of Apple's: model.h declares what is needed of it. */
