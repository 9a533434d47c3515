-- Demo streamers are guests who say so: nobody should take a drawing for a person.

ALTER TABLE public.profiles ADD COLUMN is_demo boolean NOT NULL DEFAULT false;
