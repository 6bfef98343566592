/* support/app_scripted.h - an app store that answers as a test tells it.
 *
 * Knows the apps of its options. In mode ANSWER_NOW it answers DONE, in ANSWER_FAIL DONE with
 * ERR_UNAVAILABLE, in ANSWER_LATER it waits until app_scripted_release. One instance at a time.
 */
#ifndef SUPPORT_APP_SCRIPTED_H
#define SUPPORT_APP_SCRIPTED_H

#include "app/app_manager.h"

enum app_scripted_mode { APP_ANSWER_NOW, APP_ANSWER_FAIL, APP_ANSWER_LATER };

extern const struct app_driver app_scripted;
void app_scripted_mode(struct app_manager *m, enum app_scripted_mode mode);
/* Answers the oldest waiting call: with the app, or with ERR_UNAVAILABLE if `fail`. */
bool app_scripted_release(struct app_manager *m, bool fail);
size_t app_scripted_asked(const struct app_manager *m);

#endif
