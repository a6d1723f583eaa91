/* Tests that go wrong in each way that the runner has to notice. */
#include <criterion/criterion.h>

static bool is_set_up;

static void set_up(void)
{
    is_set_up = true;
}

static void take_down(void)
{
    is_set_up = false;
}

TestSuite(broken, .init = set_up, .fini = take_down);

Test(broken, sound)
{
    cr_assert(is_set_up);
}

Test(broken, an_expectation)
{
    cr_expect_eq(1, 2, "%d is not %s", 1, "two");
    cr_expect(is_set_up);
}

static void say(void)
{
    puts("# fini is called");
}

Test(broken, an_assertion, .fini = say)
{
    cr_assert_null("");
    cr_skip_test("the assertion did not end the test");
}

Test(broken, a_signal)
{
    (void)raise(SIGKILL);
}

Test(broken, no_end, .timeout = 1)
{
    for (volatile bool goes_on = true; goes_on;) {
    }
}

Test(broken, no_expectation_and_left_out)
{
    cr_expect(false);
    cr_skip_test("too late");
}

Test(broken, left_out)
{
    cr_skip_test("no reason");
}

Test(broken, its_own_init, .init = take_down)
{
    cr_assert_not(is_set_up);
}
